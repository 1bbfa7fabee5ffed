// Package report prints a load.Report as a table of text or as a page of HTML. For JSON,
// encode the Report with encoding/json.
package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"example.com/wsecho/internal/number"
	"example.com/wsecho/load"
)

// Table writes the figures of r as text. Each has the median of the rounds, the smallest and
// the largest value, and the ratio to the first server's.
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
	if hasNoise(rows) {
		fmt.Fprintf(&b, "\n%s\n", load.RatioLegend)
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

// Headline returns a line that describes the plan.
func Headline(r *load.Report) string {
	p := r.Plan
	var s []string
	kind := "text"
	if p.Binary {
		kind = "binary"
	}
	s = append(s, number.Bytes(p.Size)+" "+kind)
	if p.Compression {
		s = append(s, "compressed")
	}
	s = append(s, number.Plural(p.Connections, "connection"))
	if p.Rate > 0 {
		s = append(s, fmt.Sprintf("open loop, %s messages/s", strconv.FormatFloat(p.Rate, 'f', -1, 64)))
	} else {
		s = append(s, fmt.Sprintf("closed loop, %d in flight on each", p.InFlight))
	}
	return strings.Join(append(s, fmt.Sprintf("%s of %v", number.Plural(p.Rounds, "round"), p.Duration)), ", ")
}

// outcome describes the result of t in a clause.
func outcome(t *load.Target) string {
	if t.OK() {
		return number.Count(t.Messages) + " messages, every byte correct"
	}
	n := 0
	for _, f := range t.Failures {
		n += f.Count
	}
	return fmt.Sprintf("FAILED: %s messages came back correct, %s lost, %s failed", number.Count(t.Messages), number.Count(t.Lost), number.Plural(n, "connection"))
}

func letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return strconv.Itoa(i + 1)
}

// A row is one figure of one server.
type row struct {
	Figure           string // only for the first server
	Letter           string
	Median, Min, Max string
	Ratio            string // empty for the first server
	Noise            bool   // the ratio is not significant

	// The same values as parts of the largest one, for the drawing.
	At, From, To float64
	Rounds       []float64
}

var titles = map[string]string{"rate": "messages/s", "p50_ns": "p50", "p99_ns": "p99", "p999_ns": "p99.9"}

func rowsOf(r *load.Report) []row {
	var rows []row
	for _, figure := range load.Figures {
		text := number.Duration
		if figure == "rate" {
			text = number.Digits
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
				median, interval := ratio.Text("")
				one.Ratio, one.Noise = strings.TrimSpace(median+" "+interval), ratio.Noise
			}
			rows = append(rows, one)
			most = max(most, s.Max)
		}
		if most == 0 { // nothing came back: the bars have no scale
			continue
		}
		for i := range rows[from:] {
			one := &rows[from+i]
			one.At, one.From, one.To = one.At/most, one.From/most, one.To/most
		}
	}
	return rows
}

// hasNoise reports whether a ratio of rows has the mark that Legend explains.
func hasNoise(rows []row) bool {
	return slices.ContainsFunc(rows, func(r row) bool { return r.Noise })
}
