package report_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"example.com/wsecho/bench/report"
	"example.com/wsecho/bench/result"
)

// TestNoCosts: a table without columns of figures leaves no gap on a terminal.
func TestNoCosts(t *testing.T) {
	r := synthetic(5)
	r.Cells = slices.DeleteFunc(r.Cells, func(c *result.Cell) bool { return c.Kind != result.Dead })
	var b bytes.Buffer
	if err := report.Text(&b, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "\n\n\n") {
		t.Errorf("%q", b.String())
	}
}

// TestMissing: a sentence names missing data, and no number is invented.
func TestMissing(t *testing.T) {
	without := func(kind string) func(*result.Report) {
		return func(r *result.Report) {
			r.Cells = slices.DeleteFunc(r.Cells, func(c *result.Cell) bool { return c.Kind == kind })
		}
	}
	for name, test := range map[string]struct {
		change func(*result.Report)
		want   []string
	}{
		"nothing": {func(r *result.Report) { *r = result.Report{Version: result.Version} },
			[]string{"0 servers on an unnamed machine", "No workload of the main table was measured.", "Nothing of this kind was measured.", "Correctness was not checked.", "This report contains no servers.", "Commit: unknown"}},
		"no cells":     {func(r *result.Report) { r.Cells = nil }, []string{"No workload of the main table", "wsecho: it has no figures."}},
		"no checks":    {func(r *result.Report) { r.Checks = nil }, []string{"Correctness was not checked."}},
		"all right":    {func(r *result.Report) { r.Checks = r.Checks[:5]; without(result.Dead)(r) }, []string{"All checks passed."}},
		"no echo":      {without(result.Echo), []string{"Nothing of this kind was measured.", "CPU: connect"}},
		"no open loop": {without(result.Open), []string{"Nothing of this kind was measured.", "p99: 5"}},
		"no idle":      {without(result.Idle), []string{"Nothing of this kind was measured."}},
		"no dead":      {without(result.Dead), []string{"Nothing of this kind was measured."}},
		"no drain":     {without(result.Drain), []string{"Nothing of this kind was measured."}},
		"none chosen": {func(r *result.Report) {
			for _, c := range r.Cells {
				c.Chosen = false
			}
		}, []string{"No workload of the main table was measured."}},
		"no gorilla": {func(r *result.Report) {
			r.Peers = slices.DeleteFunc(r.Peers, func(p result.Peer) bool { return p.Name == result.Base })
			for _, c := range r.Cells {
				c.Outcomes = slices.DeleteFunc(c.Outcomes, func(o *result.Outcome) bool { return o.Peer == result.Base })
			}
		}, []string{"There are no figures of gorilla, so there are no ratios.", "Server CPU, the median with minimum and maximum in parentheses"}},
		"gorilla in no round": {func(r *result.Report) { r.Cells[0].Of(result.Base).Rounds = nil }, []string{"no ratio", "gorilla, 0 of 4 rounds"}},
		"no outcome of a peer": {func(r *result.Report) {
			for _, c := range r.Cells {
				c.Outcomes = slices.DeleteFunc(c.Outcomes, func(o *result.Outcome) bool { return o.Peer == "gws" })
			}
		}, []string{"gws: it has no figures."}},
		"interrupted": {func(r *result.Report) {
			r.Interrupted = true
			r.Cells = r.Cells[:1]
			r.Cells[0].Outcomes = r.Cells[0].Outcomes[:5]
			r.Cells[0].Outcomes[4].Rounds = r.Cells[0].Outcomes[4].Rounds[:2]
		}, []string{"The run was interrupted. These are its figures until then.", "melody: the run was interrupted before its measurement.", "coder, 2 of 4 rounds", "? "}},
		"an unlisted peer": {func(r *result.Report) { r.Cells[0].Outcomes[0].Peer = "stranger" }, []string{"stranger"}},
		"no round at all": {func(r *result.Report) {
			for _, c := range r.Cells {
				for _, o := range c.Outcomes {
					o.Rounds = nil
				}
			}
		}, []string{"no figure could be read"}},
		"extreme figures": {func(r *result.Report) {
			for i, c := range r.Cells {
				for _, o := range c.Outcomes {
					for j, round := range o.Rounds {
						for name := range round {
							round[name] = []float64{0, -1, 1e-300, 1e300, math.MaxFloat64, 1}[(i+j)%6]
						}
					}
				}
			}
		}, []string{"Result"}},
		"all figures are 0": {func(r *result.Report) {
			for _, c := range r.Cells {
				for _, o := range c.Outcomes {
					for _, round := range o.Rounds {
						for name := range round {
							round[name] = 0
						}
					}
				}
			}
		}, []string{"Result"}},
		"one round": {func(r *result.Report) {
			r.Rounds = 1
			for _, c := range r.Cells {
				for _, o := range c.Outcomes {
					o.Rounds = o.Rounds[:1]
				}
			}
		}, []string{"1 round cannot show a significant difference. That needs 5."}},
	} {
		t.Run(name, func(t *testing.T) {
			r := synthetic(4)
			test.change(r)
			var html, md, txt bytes.Buffer
			for _, err := range []error{
				report.HTML(&html, r), report.Markdown(&md, r, nil), report.Text(&txt, r),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			p := read(t, html.Bytes())
			for _, want := range test.want {
				if !strings.Contains(p.text, want) {
					t.Errorf("the page does not contain %q", want)
				}
			}
			for _, not := range []string{"NaN", "Inf", "%!"} {
				if strings.Contains(html.String()+md.String()+txt.String(), not) {
					t.Errorf("there is %q", not)
				}
			}
		})
	}
}

// TestHostile: texts of servers are text in every form, and never markup.
func TestHostile(t *testing.T) {
	const nasty = "<script>alert(1)</script>|`*_[x](http://evil.example)\n# \x1b[31m\u202eevil & \"'>"
	r := synthetic(4)
	r.Command, r.Commit, r.Machine.Processor, r.Machine.System = nasty, nasty, nasty, nasty
	r.Notes = []string{nasty, "1. a list", "- another"}
	for i := range r.Peers {
		p := &r.Peers[i]
		p.Title, p.Version, p.Note, p.Language = nasty, nasty, nasty, nasty
		if p.Skipped != "" {
			p.Skipped = nasty
		}
		if p.Name == "xnet" {
			p.Name = nasty
		}
	}
	for i := range r.Checks {
		c := &r.Checks[i]
		c.Title, c.Want, c.Got = nasty, nasty, nasty
		if c.Error != "" {
			c.Error = nasty
		}
		if c.Peer == "xnet" {
			c.Peer = nasty
		}
	}
	for _, c := range r.Cells {
		c.Title, c.ID = nasty, nasty
		for _, o := range c.Outcomes {
			o.Said, o.Wrong, o.Notes = nasty, []string{nasty}, []string{nasty}
			if o.Peer == "xnet" {
				o.Peer = nasty
			}
		}
	}
	p, md, txt := written(t, r)
	if !strings.Contains(p.text, "<script>alert(1)</script>|`*_[x](http://evil.example) # ") {
		t.Error("the page does not show what was written")
	}
	for form, s := range map[string]string{"HTML": p.text, "Markdown": md, "text": txt} {
		if strings.ContainsAny(s, "\x1b\u202e\r") {
			t.Errorf("there are control characters in the %s", form)
		}
	}
	folds := strings.Count(md, "<details><summary>")
	if folds == 0 || folds != strings.Count(md, "\n\n</details>\n") {
		t.Errorf("%d folds", folds)
	}
	for line := range strings.SplitSeq(strings.NewReplacer("<br>", "", "](<", "](", "</details>", "").Replace(md), "\n") {
		if strings.HasPrefix(line, "    ") { // code
			continue
		}
		if summary, ok := strings.CutPrefix(line, "<details><summary>"); ok { // HTML
			if summary, ok := strings.CutSuffix(summary, "</summary>"); !ok || strings.Contains(summary, "<") {
				t.Errorf("there is markup in %q", summary)
			}
			continue
		}
		for i := range line {
			if strings.ContainsRune("<`[", rune(line[i])) && (i == 0 || line[i-1] != '\\' && (line[i] != '[' || line[i-1] != '!')) {
				t.Fatalf("there is %q in Markdown: %.200s", line[i], line[max(0, i-10):])
			}
		}
		if strings.HasPrefix(line, "- - ") || strings.HasPrefix(line, "- 1. ") {
			t.Errorf("a list in a list: %q", line)
		}
	}
	columns := func(row string) int { return strings.Count(strings.ReplaceAll(row, `\|`, ""), "|") }
	head := 0
	for line := range strings.Lines(md) {
		switch {
		case !strings.HasPrefix(line, "|"):
			head = 0
		case head == 0:
			head = columns(line)
		case columns(line) != head:
			t.Errorf("a row has %d columns, its head %d: %.200s", columns(line), head, line)
		}
	}
	plots, err := report.Plots(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range plots {
		wellFormed(t, one)
	}
}
