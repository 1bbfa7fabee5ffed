package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/internal/number"
	"example.com/wsecho/load"
)

// mainTable returns a table with a row for each peer with a measured chosen cell. It
// returns nil if there is no such peer.
func (f *facts) mainTable() *table {
	p99, idle := f.p99Cell(), f.idleCell()
	t := &table{Head: []string{"server"}}
	var captions []string
	based := f.hasBase()
	if len(f.costs) > 0 {
		what := "Server CPU ÷ " + result.Base + ", with the interval of 95 %"
		if !based {
			what = "Server CPU, the median with minimum and maximum in parentheses"
		}
		captions = append(captions, what+". Less is better.")
		if based {
			captions = append(captions, load.RatioLegend)
		}
		captions = append(captions, f.batching())
	}
	for _, c := range f.costs {
		t.Head = append(t.Head, "CPU: "+c.title)
	}
	if p99 != nil {
		t.Head = append(t.Head, "p99: "+f.titleOf(p99))
	}
	if idle != nil {
		head := fmt.Sprintf("KiB per idle connection, of %s", number.Count(int64(idle.Connections)))
		if idle.Heartbeat > 0 {
			head += ", with a heartbeat"
		}
		t.Head = append(t.Head, head)
	}
	if based && (p99 != nil || idle != nil) {
		captions = append(captions, "× marks the ratio of p99 or memory to that of "+result.Base+".")
	}
	if len(f.r.Checks) > 0 {
		t.Head = append(t.Head, "broken rules")
		captions = append(captions, "The last column counts the rules of RFC 6455 and RFC 7692 that failed a check.")
	}
	marked := false
	for _, p := range f.peers {
		if !slices.ContainsFunc(f.cells, func(c *result.Cell) bool { return c.Chosen && len(roundsOf(c.Of(p.Name))) > 0 }) {
			continue
		}
		row := []cell{{Text: p.Name, Below: versionOf(p)}}
		add := func(c *result.Cell, one cell) {
			if o := c.Of(p.Name); o != nil && len(o.Wrong) > 0 {
				one.Text, one.Wrong = one.Text+" !", true
				marked = true
			}
			row = append(row, one)
		}
		for _, c := range f.costs {
			add(c.cell, f.costCell(c, p.Name))
		}
		if p99 != nil {
			add(p99, f.figureWithRatio(p99, p.Name, "p99_us", micros))
		}
		if idle != nil {
			add(idle, f.figureWithRatio(idle, p.Name, "idle_kib", number.Digits))
		}
		if len(f.r.Checks) > 0 {
			tally := f.tallyOf(p.Name)
			row = append(row, cell{Text: tally.String(), Wrong: len(tally.violations) > 0})
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) == 0 {
		return nil
	}
	if marked {
		captions = append(captions, "! marks a cell with a fault.")
	}
	t.Caption = strings.Join(slices.DeleteFunc(captions, func(s string) bool { return s == "" }), " ")
	return t
}

// correctnessTable returns the broken rules of each checked peer, and the settings and
// code that it needs on the internet. It returns nil if no peer was checked.
func (f *facts) correctnessTable() *table {
	t := &table{
		Caption: "The broken rules of RFC 6455 and RFC 7692, each once. The last column lists settings and code that a server on the internet also needs.",
		Head:    []string{"server", "broken rules, with the section", "needs your configuration or code"}, Texts: []int{1, 2},
	}
	for _, p := range f.peers {
		tally := f.tallyOf(p.Name)
		if tally.all == 0 {
			continue
		}
		rules := cell{Text: "none"}
		if len(tally.violations) > 0 {
			rules = cell{Text: strings.Join(tally.violations, "; "), Wrong: true}
		}
		if tally.unknown > 0 {
			rules.Text += fmt.Sprintf("; %d unknown", tally.unknown)
		}
		needs := slices.Clone(p.Needs)
		for _, lacking := range tally.lacking {
			needs = append(needs, "missing: "+lacking)
		}
		if needs == nil {
			needs = []string{"nothing"}
		}
		t.Rows = append(t.Rows, []cell{{Text: p.Name}, rules, {Text: strings.Join(needs, "; ")}})
	}
	if t.Rows == nil {
		return nil
	}
	return t
}

// costCell returns the cost of a message as a ratio to the base.
func (f *facts) costCell(c cost, name string) cell {
	values := c.cell.Of(name).Values(c.figure)
	if len(values) == 0 {
		return cell{Text: "–"}
	}
	typical := measure.Sample(values).Median()
	median := micros(typical)
	switch r, ok := f.over(c.cell, name, c.figure); {
	case name == result.Base && slices.Max(values) > 0:
		return cell{Text: "1", Below: median}
	case name == result.Base: // below the resolution of the kernel's clock
		return cell{Text: median}
	case typical == 0:
		return cell{Text: "–", Below: "below resolution"}
	case ok:
		median, interval := r.Text("")
		return cell{Text: median, Below: interval}
	case f.hasBase():
		return cell{Text: median, Below: "no ratio"}
	case len(values) == 1:
		return cell{Text: median}
	}
	return cell{Text: median, Below: fmt.Sprintf("(%s–%s)", micros(slices.Min(values)), micros(slices.Max(values)))}
}

// figureWithRatio returns a figure in its own unit, with the ratio to the base below it.
func (f *facts) figureWithRatio(c *result.Cell, name, figure string, text func(float64) string) cell {
	values := c.Of(name).Values(figure)
	if len(values) == 0 {
		return cell{Text: "–"}
	}
	one := cell{Text: text(measure.Sample(values).Median())}
	if r, ok := f.over(c, name, figure); ok {
		one.Below, _ = r.Text("×")
	}
	return one
}

// mostColumns is the number of figures for which the page has room.
const mostColumns = 4

// figureTables returns the figures of all peers in a cell.
func (f *facts) figureTables(c *result.Cell) (blocks []block) {
	var figures []result.Figure
	for _, one := range result.Figures {
		if has(c, one.Name) {
			figures = append(figures, one)
		}
	}
	if len(figures) == 0 {
		return []block{{Text: c.Title + ": no figure could be read."}}
	}
	caption := c.Title + ": the median of the rounds"
	if f.r.Rounds > 1 {
		caption += ", with minimum and maximum in parentheses"
	}
	if len(roundsOf(c.Of(result.Base))) > 0 {
		caption += "; × is the ratio to " + result.Base + ", with its interval of 95 %"
	}
	caption += "."
	tables := (len(figures) + mostColumns - 1) / mostColumns
	each := (len(figures) + tables - 1) / tables
	for some := range slices.Chunk(figures, each) {
		t := &table{Caption: caption, Head: []string{"server"}}
		for _, one := range some {
			t.Head = append(t.Head, heading(one))
		}
		for _, o := range f.inOrder(c) {
			row := []cell{{o.Peer + f.roundsSuffix(o), "", len(o.Wrong) > 0}}
			for _, one := range some {
				row = append(row, f.figureCell(c, o, one))
			}
			t.Rows = append(t.Rows, row)
		}
		blocks = append(blocks, block{Table: t})
		caption = c.Title + ", continued."
	}
	return []block{{Fold: c.Title, Inside: blocks}}
}

func (f *facts) figureCell(c *result.Cell, o *result.Outcome, one result.Figure) cell {
	values := o.Values(one.Name)
	if len(values) == 0 {
		return cell{Text: "–"}
	}
	text := cell{Text: spread(one, values)}
	if one.Unit == "" { // a share
		return text
	}
	if r, ok := f.over(c, o.Peer, one.Name); ok {
		median, interval := r.Text("×")
		text.Below = strings.TrimSpace(median + " " + interval)
	}
	return text
}

// roundsSuffix returns a suffix for the name of a peer with missing rounds or faults.
func (f *facts) roundsSuffix(o *result.Outcome) string {
	s := ""
	if n := len(o.Rounds); n < f.r.Rounds {
		s = fmt.Sprintf(", %d of %d rounds", n, f.r.Rounds)
	}
	if len(o.Wrong) > 0 {
		s += " !"
	}
	return s
}

// overview returns a table of one figure in the cells of a kind that the main table does
// not have. It shows the peers with Full.
func (f *facts) overview(kind, name string) []block {
	var cells []*result.Cell
	for _, c := range f.ofKind(kind) {
		if has(c, name) && !c.Chosen {
			cells = append(cells, c)
		}
	}
	var peers []peer
	for _, p := range f.peers {
		if p.Full && slices.ContainsFunc(cells, func(c *result.Cell) bool { return len(c.Of(p.Name).Values(name)) > 0 }) {
			peers = append(peers, p)
		}
	}
	if len(cells) < 2 || len(peers) == 0 {
		return nil
	}
	what := heading(figure(name))
	what = strings.ToUpper(what[:1]) + what[1:]
	t := &table{Caption: what + ": the median of the rounds; × is the ratio to " + result.Base + ", with its interval of 95 %.", Head: []string{"workload"}}
	if !f.hasBase() {
		t.Caption = what + ": the median of the rounds."
	}
	for _, p := range peers {
		t.Head = append(t.Head, p.Name)
	}
	for _, c := range cells {
		row := texts(c.Title)
		for _, p := range peers {
			one := cell{Text: "–"}
			o := c.Of(p.Name)
			if values := o.Values(name); len(values) > 0 {
				one = cell{Text: number.Digits(measure.Sample(values).Median()), Wrong: len(o.Wrong) > 0}
				if one.Wrong {
					one.Text += " !"
				}
				if r, ok := f.over(c, p.Name, name); ok {
					median, interval := r.Text("×")
					one.Below = strings.TrimSpace(median + " " + interval)
				}
			}
			row = append(row, one)
		}
		t.Rows = append(t.Rows, row)
	}
	return []block{{Table: t}}
}

// deadTable shows when each server noticed a dead client.
func (f *facts) deadTable(c *result.Cell) *table {
	t := &table{Caption: c.Title + ".", Head: []string{"server", "noticed after, s", "end of the connection"}, Texts: []int{2}}
	for _, o := range f.inOrder(c) {
		noticed := durationCell(o, figure("notice_s"), o.Values("notice_s"), "not noticed")
		t.Rows = append(t.Rows, []cell{{Text: o.Peer}, noticed, {Text: endingOf(o)}})
	}
	f.addNoteColumn(t, c)
	return t
}

// durationCell returns the time of an event, or the text never if it did not happen.
func durationCell(o *result.Outcome, one result.Figure, values []float64, never string) cell {
	text := spread(one, values)
	switch n := len(o.Rounds); {
	case n == 0 || len(values) == 0 && len(o.Wrong) > 0:
		return cell{Text: "no result"}
	case len(values) == 0:
		return cell{Text: never, Wrong: true}
	case len(values) < n:
		return cell{fmt.Sprintf("%s, in %d of %d rounds", text, len(values), n), "", true}
	}
	return cell{Text: text}
}

// addNoteColumn adds a column with the faults and notes of each outcome of c, if there
// are any.
func (f *facts) addNoteColumn(t *table, c *result.Cell) {
	outcomes := f.inOrder(c)
	if !slices.ContainsFunc(outcomes, func(o *result.Outcome) bool { return len(o.Notes)+len(o.Wrong) > 0 }) {
		return
	}
	t.Texts = append(t.Texts, len(t.Head))
	t.Head = append(t.Head, "note")
	for i, o := range outcomes {
		t.Rows[i] = append(t.Rows[i], cell{Text: strings.Join(append(slices.Clone(o.Wrong), o.Notes...), "; "), Wrong: len(o.Wrong) > 0})
	}
}

// drainTable shows how the connections of a server end after SIGTERM.
func (f *facts) drainTable(c *result.Cell) *table {
	t := &table{Caption: c.Title + ".", Head: []string{"server", "clients that received a close frame", "end of the connections", "process ended after, s"}, Texts: []int{2}}
	for _, o := range f.inOrder(c) {
		received := cell{Text: "no result"}
		if values := o.Values("received_close"); len(values) > 0 {
			received = cell{Text: spread(figure("received_close"), values), Wrong: slices.Min(values) < 1}
		}
		// 0 means that the process did not end within the bound.
		ended := slices.DeleteFunc(o.Values("end_s"), func(v float64) bool { return v <= 0 })
		t.Rows = append(t.Rows, []cell{{Text: o.Peer}, received, {Text: endingOf(o)}, durationCell(o, figure("end_s"), ended, "not ended")})
	}
	f.addNoteColumn(t, c)
	return t
}

func endingOf(o *result.Outcome) string {
	if clean(o.Said) == "" {
		return "–"
	}
	return o.Said
}

// checkTables shows which checks each peer passes.
func (f *facts) checkTables() (blocks []block) {
	type check struct{ name, title, section string }
	var checks []check
	got := map[[2]string]result.Check{}
	for _, c := range f.r.Checks {
		if !slices.ContainsFunc(checks, func(k check) bool { return k.name == c.Name }) {
			checks = append(checks, check{c.Name, c.Title, c.Section})
		}
		got[[2]string{c.Peer, c.Name}] = c
	}
	var checked []string
	for _, p := range f.peers {
		if f.tallyOf(p.Name).all > 0 {
			checked = append(checked, p.Name)
		}
	}
	if len(checked) == 0 {
		return nil
	}
	const most = 7
	tables := (len(checked) + most - 1) / most
	each := (len(checked) + tables - 1) / tables
	caption := "✓ correct, ✗ wrong, ? no result, – not checked. No RFC demands the checks without a section."
	for some := range slices.Chunk(checked, each) {
		t := &table{Caption: caption, Head: append([]string{"the client sends", "section"}, some...), Texts: []int{1}}
		for _, k := range checks {
			row := texts(k.title, cmp.Or(k.section, "–"))
			for _, name := range some {
				c, tried := got[[2]string{name, k.name}]
				switch {
				case !tried:
					row = append(row, cell{Text: "–"})
				case c.Error != "":
					row = append(row, cell{Text: "?"})
				case c.Right:
					row = append(row, cell{Text: "✓"})
				default:
					row = append(row, cell{Text: "✗", Wrong: true})
				}
			}
			t.Rows = append(t.Rows, row)
		}
		blocks = append(blocks, block{Table: t})
		caption = "The same checks for other servers."
	}
	return append(blocks, f.failedChecks()...)
}

// failedChecks lists the failed checks.
func (f *facts) failedChecks() []block {
	t := &table{Caption: "The failed checks.", Head: []string{"server", "the client sends", "expected", "got"}, Texts: []int{1, 2, 3}}
	for _, p := range f.peers {
		for _, c := range f.r.Checks {
			switch {
			case c.Peer != p.Name || c.Right:
			case c.Error != "":
				t.Rows = append(t.Rows, texts(p.Name, c.Title, c.Want, "no result: "+c.Error))
			default:
				t.Rows = append(t.Rows, texts(p.Name, c.Title, c.Want, c.Got))
			}
		}
	}
	if len(t.Rows) == 0 {
		return []block{{Text: "All checks passed."}}
	}
	return []block{{Table: t}}
}

// faults returns a line for each fault under load.
func (f *facts) faults() (lines []string) {
	for _, p := range f.peers {
		for _, c := range f.cells {
			if o := c.Of(p.Name); o != nil {
				for _, w := range o.Wrong {
					lines = append(lines, fmt.Sprintf("%s, %s: %s", p.Name, c.Title, sentence(w)))
				}
			}
		}
	}
	return lines
}
