package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/load"
)

// unbroken is a space between a number and its unit.
const unbroken = "\u00a0"

// digits is v with three significant digits, in groups of three before the point.
func digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.IsInf(v, 0):
		return "∞"
	}
	s := strconv.FormatFloat(v, 'e', 2, 64)
	_, e, _ := strings.Cut(s, "e")
	exponent, err := strconv.Atoi(e)
	if err != nil || exponent < -5 || exponent > 14 {
		return s
	}
	rounded, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	return grouped(strconv.FormatFloat(rounded, 'f', max(0, 2-exponent), 64))
}

// grouped is a number in groups of three digits.
func grouped(s string) string {
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return whole
}

// percent is a share. It is rounded down: what is not all is never 100 %.
func percent(v float64) string {
	p := math.Floor(v*1000+1e-6) / 10
	if p == 0 && v > 0 || v > 1 {
		return digits(v*100) + unbroken + "%"
	}
	return strconv.FormatFloat(p, 'f', -1, 64) + unbroken + "%"
}

// micros is a time in microseconds, in the unit that suits it.
func micros(v float64) string {
	switch {
	case v >= 999500:
		return digits(v/1e6) + unbroken + "s"
	case v >= 999.5:
		return digits(v/1e3) + unbroken + "ms"
	}
	return digits(v) + unbroken + "µs"
}

// size is n bytes in the unit that makes it a whole number.
func size(n int) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprint(n>>20) + unbroken + "MiB"
	case n > 0 && n%(1<<10) == 0:
		return fmt.Sprint(n>>10) + unbroken + "KiB"
	}
	return fmt.Sprint(n) + unbroken + "B"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(strconv.Itoa(n)) + " " + what + "s"
}

// short is a duration without the parts that are nothing: "1h30m", not "1h30m0s".
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

// value is v in the unit of a figure, which the head of its column names.
func value(f result.Figure, v float64) string {
	if f.Unit == "" {
		return percent(v)
	}
	return digits(v)
}

// spread is the median with the least and the greatest of several rounds.
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

// ratio is a difference and its interval; one that is noise is not a number that could
// be read as a win.
func ratio(r load.Ratio) (median, interval string) {
	switch {
	case tooFew(r):
		return digits(r.Median) + " ?", ""
	case r.Noise:
		median = "="
	default:
		median = digits(r.Median)
	}
	return median, fmt.Sprintf("(%s–%s)", digits(r.Low), digits(r.High))
}

// times is the same below the figure that it is of.
func times(r load.Ratio) (median, interval string) {
	median, interval = ratio(r)
	if number, few := strings.CutSuffix(median, " ?"); few {
		return number + "× ?", interval
	}
	if median != "=" {
		median += "×"
	}
	return median, interval
}

// tooFew says that there were too few rounds for an interval.
func tooFew(r load.Ratio) bool { return r.Noise && r.High == 0 }

// clean is what someone else said, without what would do something to a terminal or
// to the order of the letters around it.
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

// sentence is s with an end.
func sentence(s string) string {
	s = clean(s)
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// figure is the one of a name.
func figure(name string) result.Figure {
	i := slices.IndexFunc(result.Figures, func(f result.Figure) bool { return f.Name == name })
	if i < 0 {
		panic("report: there is no figure " + name)
	}
	return result.Figures[i]
}

// heading is what a column of a figure is called.
func heading(f result.Figure) string {
	if f.Unit == "" {
		return f.Title
	}
	return f.Title + ", " + f.Unit
}
