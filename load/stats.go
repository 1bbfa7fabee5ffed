package load

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"example.com/wsecho/internal/number"
)

// A Spread is the median and the range of one figure over several rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(rounds []float64) Spread {
	if len(rounds) == 0 {
		return Spread{}
	}
	return Spread{Median: median(rounds), Min: slices.Min(rounds), Max: slices.Max(rounds)}
}

func median(values []float64) float64 { return middle(slices.Clone(values)) }

// middle returns the median of s. It sorts s.
func middle(s []float64) float64 {
	slices.Sort(s)
	n := len(s)
	if n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[n/2]
}

// A Ratio is a figure of a server divided by that of the first one.
type Ratio struct {
	Median float64 `json:"median"` // of the ratios of the rounds
	Low    float64 `json:"low"`    // of the 95 % interval; 0 if there is none
	High   float64 `json:"high"`
	Rounds int     `json:"rounds"` // that both servers have

	// Noise means that the ratio is not significant: the interval contains 1, or there
	// were fewer than FewestRounds rounds.
	Noise bool `json:"noise"`
}

// FewestRounds is the number of rounds that an interval of 95 % needs. Without a real
// difference, all of five rounds fall on the same side of 1 in 6 of 100 cases. All of four
// rounds do so in 12.
const FewestRounds = 5

// Compare divides the figures of a server by those of the first one, round by round. The
// interval is that of the bootstrap: the medians of many samples of these rounds. The same
// rounds give the same interval. It returns false if no round has a figure of both, or if
// all figures of the first are 0.
func Compare(a, first []float64) (r Ratio, ok bool) {
	var ratios []float64
	for i := range min(len(a), len(first)) {
		if first[i] > 0 {
			ratios = append(ratios, a[i]/first[i])
		}
	}
	if len(ratios) == 0 {
		return Ratio{}, false
	}
	r = Ratio{Median: median(ratios), Rounds: len(ratios), Noise: true}
	if len(ratios) < FewestRounds {
		return r, true
	}
	const draws = 4000
	random := rand.New(rand.NewPCG(uint64(len(ratios)), 95))
	medians := make([]float64, draws)
	drawn := make([]float64, len(ratios))
	for i := range medians {
		for j := range drawn {
			drawn[j] = ratios[random.IntN(len(ratios))]
		}
		medians[i] = middle(drawn)
	}
	slices.Sort(medians)
	r.Low, r.High = medians[draws*25/1000], medians[draws*975/1000-1]
	r.Noise = r.Low <= 1 && 1 <= r.High
	return r, true
}

// RatioLegend explains the mark that [Ratio.Text] adds.
var RatioLegend = fmt.Sprintf("n.s.: not significant. The interval contains 1, or there were fewer than %d rounds.", FewestRounds)

// Text returns the median with a suffix, marked if it is not significant, and the
// interval: "0.981× n.s." and "(0.930–1.07)". The interval is empty if there were too
// few rounds for one.
func (r Ratio) Text(suffix string) (median, interval string) {
	median = number.Digits(r.Median) + suffix
	if r.Noise {
		median += " n.s."
	}
	if r.Rounds >= FewestRounds {
		interval = fmt.Sprintf("(%s–%s)", number.Digits(r.Low), number.Digits(r.High))
	}
	return median, interval
}
