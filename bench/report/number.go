package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/internal/number"
)

// micros returns a time in microseconds, in a unit that suits it.
func micros(us float64) string { return number.Duration(us * 1000) }

// short returns a duration without zero parts: "1h30m", not "1h30m0s".
func short(d time.Duration) string {
	if d >= time.Minute {
		d = d.Round(time.Second)
	} else {
		d = d.Round(time.Millisecond)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// value returns v in the unit of a figure, which the head of the column names.
func value(f result.Figure, v float64) string {
	if f.Unit == "" {
		return number.Percent(v)
	}
	return number.Digits(v)
}

// spread returns the median of several rounds, with the smallest and the largest value.
func spread(f result.Figure, values []float64) string {
	if len(values) == 0 {
		return ""
	}
	s := value(f, measure.Sample(values).Median())
	if slices.Min(values) == slices.Max(values) {
		return s
	}
	return fmt.Sprintf("%s (%s–%s)", s, value(f, slices.Min(values)), value(f, slices.Max(values)))
}

// clean removes characters that would control a terminal or the direction of text.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsGraphic(r):
			return unicode.ReplacementChar
		}
		return r
	}, s))
}

// sentence returns s with a full stop.
func sentence(s string) string {
	s = clean(s)
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// figure returns the figure of this name.
func figure(name string) result.Figure {
	i := slices.IndexFunc(result.Figures, func(f result.Figure) bool { return f.Name == name })
	if i < 0 {
		panic("report: there is no figure " + name)
	}
	return result.Figures[i]
}

// heading returns the head of a figure's column.
func heading(f result.Figure) string {
	if f.Unit == "" {
		return f.Title
	}
	return f.Title + ", " + f.Unit
}
