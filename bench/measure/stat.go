package measure

import (
	"fmt"
	"slices"

	"example.com/wsecho/internal/number"
)

// A Sample contains the values of one figure in several rounds.
type Sample []float64

// Median returns the median.
func (s Sample) Median() float64 {
	if len(s) == 0 {
		return 0
	}
	t := slices.Sorted(slices.Values(s))
	if n := len(t); n%2 == 0 {
		return (t[n/2-1] + t[n/2]) / 2
	}
	return t[len(t)/2]
}

// Spread returns the median with the minimum and maximum in parentheses.
func (s Sample) Spread() string {
	if len(s) == 0 {
		return "–"
	}
	return fmt.Sprintf("%s (%s–%s)", number.Digits(s.Median()), number.Digits(slices.Min(s)), number.Digits(slices.Max(s)))
}

// Over divides s by t, round by round.
func (s Sample) Over(t Sample) Sample {
	var q Sample
	for i := range min(len(s), len(t)) {
		q = append(q, s[i]/t[i])
	}
	return q
}
