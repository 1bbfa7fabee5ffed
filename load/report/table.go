// Package report shows what package load has found, as a table of text or as a page
// of HTML. As JSON a load.Report is what encoding/json makes of it.
package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"example.com/wsecho/load"
)

// Table writes the figures of r as text: for each the median of the rounds, with the
// least and the greatest, and its ratio to the first server's.
func Table(w io.Writer, r *load.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", Headline(r))
	for i, t := range r.Targets {
		fmt.Fprintf(&b, "%s  %s  %s\n", letter(i), t.URL, outcome(t))
	}
	rows := rowsOf(r)
	if len(rows) > 0 {
		b.WriteString("\n")
		var lines strings.Builder
		columns := tabwriter.NewWriter(&lines, 2, 0, 2, ' ', 0)
		head := "\t\tmedian (min–max)\t"
		if len(r.Targets) > 1 {
			head += "÷ A (95 %)"
		}
		fmt.Fprintln(columns, head)
		for _, row := range rows {
			fmt.Fprintf(columns, "%s\t%s\t%s (%s–%s)\t%s\n", row.Figure, row.Letter, row.Median, row.Min, row.Max, row.Ratio)
		}
		if err := columns.Flush(); err != nil {
			return err
		}
		for line := range strings.Lines(lines.String()) {
			b.WriteString(strings.TrimRight(line, " \n") + "\n")
		}
	}
	for i, note := range r.Notes {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "Note: %s.\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Headline says in a line what was done.
func Headline(r *load.Report) string {
	p := r.Plan
	var s []string
	kind := "text"
	if p.Binary {
		kind = "binary"
	}
	s = append(s, size(p.Size)+" "+kind)
	if p.Compression {
		s = append(s, "compressed")
	}
	s = append(s, plural(p.Connections, "connection"))
	if p.Rate > 0 {
		s = append(s, fmt.Sprintf("open loop, %s messages/s", number(p.Rate)))
	} else {
		s = append(s, fmt.Sprintf("closed loop, %d in flight on each", p.InFlight))
	}
	return strings.Join(append(s, fmt.Sprintf("%s of %v", plural(p.Rounds, "round"), p.Duration)), ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// outcome is what became of the messages to t.
func outcome(t *load.Target) string {
	if t.OK() {
		return number(float64(t.Messages)) + " messages, every byte right"
	}
	n := 0
	for _, f := range t.Failures {
		n += f.Count
	}
	return fmt.Sprintf("NOT RIGHT: %s messages came back right, %s lost, %s failed", number(float64(t.Messages)), number(float64(t.Lost)), plural(n, "connection"))
}

func letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return strconv.Itoa(i + 1)
}

// A row is one figure of one server.
type row struct {
	Figure           string // empty but for the first server
	Letter           string
	Median, Min, Max string
	Ratio            string // empty for the first server

	// The same for a drawing, as parts of the largest one.
	At, From, To float64
	Rounds       []float64
}

var titles = map[string]string{"rate": "messages/s", "p50_ns": "p50", "p99_ns": "p99", "p999_ns": "p99.9"}

func rowsOf(r *load.Report) []row {
	var rows []row
	for _, figure := range load.Figures {
		text := duration
		if figure == "rate" {
			text = number
		}
		most, from := 0.0, len(rows)
		for i, t := range r.Targets {
			s, ok := t.Spread(figure)
			if !ok {
				continue
			}
			one := row{Letter: letter(i), Median: text(s.Median), Min: text(s.Min), Max: text(s.Max), At: s.Median, From: s.Min, To: s.Max}
			if len(rows) == from {
				one.Figure = titles[figure]
			}
			if ratio, ok := t.Ratios[figure]; ok {
				one.Ratio = ratioText(ratio)
			}
			rows = append(rows, one)
			most = max(most, s.Max)
		}
		for i := range rows[from:] {
			one := &rows[from+i]
			one.At, one.From, one.To = one.At/most, one.From/most, one.To/most
		}
	}
	return rows
}

func ratioText(r load.Ratio) string {
	s := fmt.Sprintf("%.2f", r.Median)
	switch {
	case r.Low == 0:
		return s + ", too few rounds to tell from noise"
	case r.Noise:
		return fmt.Sprintf("%s (%.2f–%.2f), within the noise", s, r.Low, r.High)
	}
	return fmt.Sprintf("%s (%.2f–%.2f)", s, r.Low, r.High)
}

// number is v in whole numbers, in groups of three digits.
func number(v float64) string {
	if v < 100 && v != math.Trunc(v) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatInt(int64(math.Round(v)), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// duration is v, in nanoseconds, in three digits.
func duration(v float64) string {
	d := time.Duration(v)
	unit, name := float64(time.Microsecond), "µs"
	switch {
	case d >= time.Second:
		unit, name = float64(time.Second), "s"
	case d >= time.Millisecond:
		unit, name = float64(time.Millisecond), "ms"
	}
	digits := 2
	switch v /= unit; {
	case v >= 100:
		digits = 0
	case v >= 10:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + name
}

// size is n bytes in the unit that makes it a whole number.
func size(n int) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n > 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
