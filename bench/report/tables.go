package report

import (
	"fmt"
	"slices"
	"strings"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/internal/number"
	"example.com/wsecho/load"
)

// mainTable has a row for each peer that was measured in a chosen cell; nil if none
// was.
func (f *facts) mainTable() *table {
	p99, idle := f.p99Cell(), f.idleCell()
	t := &table{Head: []string{"peer"}}
	var captions []string
	based := f.based()
	if len(f.costs) > 0 {
		what := "Server CPU ÷ " + result.Base + "'s, with its interval of 95 %"
		if !based {
			what = "Server CPU, the median with the least and the greatest"
		}
		captions = append(captions, what+". Less is better.")
		if based {
			captions = append(captions, load.RatioLegend)
		}
	}
	for _, c := range f.costs {
		t.Head = append(t.Head, "CPU: "+c.title)
	}
	if p99 != nil {
		t.Head = append(t.Head, "p99: "+brieflyOf(p99))
	}
	if idle != nil {
		head := fmt.Sprintf("KiB for an idle connection of %s", number.Count(int64(idle.Connections)))
		if idle.Heartbeat > 0 {
			head += ", with a heartbeat"
		}
		t.Head = append(t.Head, head)
	}
	if based && (p99 != nil || idle != nil) {
		captions = append(captions, "× is the ratio of p99 and memory to "+result.Base+"'s.")
	}
	t.Texts = []int{len(t.Head)}
	t.Head = append(t.Head, "gets wrong")
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
			add(p99, f.figureBeside(p99, p.Name, "p99_us", micros))
		}
		if idle != nil {
			add(idle, f.figureBeside(idle, p.Name, "idle_kib", number.Digits))
		}
		wrong := cell{Text: f.tallyOf(p.Name).String(), Wrong: f.tallyOf(p.Name).wrong > 0}
		if n := f.wrongCells(p.Name); n > 0 {
			wrong = cell{fmt.Sprintf("%s; under load in %s", wrong.Text, number.Plural(n, "cell")), "", true}
		}
		t.Rows = append(t.Rows, append(row, wrong))
	}
	if len(t.Rows) == 0 {
		return nil
	}
	if marked {
		captions = append(captions, "! is a cell in which something came back wrong.")
	}
	if len(f.r.Checks) > 0 {
		captions = append(captions, "The last column counts checks of correctness that failed.")
	}
	t.Caption = strings.Join(captions, " ")
	return t
}

// costCell is what a message costs a peer beside the base.
func (f *facts) costCell(c cost, name string) cell {
	values := c.cell.Of(name).Values(c.figure)
	if len(values) == 0 {
		return cell{Text: "–"}
	}
	median := micros(measure.Sample(values).Median())
	switch r, ok := f.over(c.cell, name, c.figure); {
	case name == result.Base && slices.Max(values) > 0:
		return cell{Text: "1", Below: median}
	case name == result.Base: // less than the kernel counts
		return cell{Text: median}
	case ok:
		median, interval := r.Text("")
		return cell{Text: median, Below: interval}
	case f.based():
		return cell{Text: median, Below: "no ratio"}
	case len(values) == 1:
		return cell{Text: median}
	}
	return cell{Text: median, Below: fmt.Sprintf("(%s–%s)", micros(slices.Min(values)), micros(slices.Max(values)))}
}

// figureBeside is a figure in its own unit, and below it beside the base.
func (f *facts) figureBeside(c *result.Cell, name, figure string, text func(float64) string) cell {
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

// mostColumns is how many figures a page that shows code has room for.
const mostColumns = 4

// figureTables are the figures of all peers in a cell.
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
		caption += ", with the least and the greatest"
	}
	if len(roundsOf(c.Of(result.Base))) > 0 {
		caption += "; × is the ratio to " + result.Base + "'s," + " with its interval of 95 %"
	}
	caption += "."
	tables := (len(figures) + mostColumns - 1) / mostColumns
	each := (len(figures) + tables - 1) / tables
	for some := range slices.Chunk(figures, each) {
		t := &table{Caption: caption, Head: []string{"peer"}}
		for _, one := range some {
			t.Head = append(t.Head, heading(one))
		}
		for _, o := range f.inOrder(c) {
			row := []cell{{o.Peer + f.fewer(o), "", len(o.Wrong) > 0}}
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

// fewer says that a peer was not measured in all rounds.
func (f *facts) fewer(o *result.Outcome) string {
	s := ""
	if n := len(o.Rounds); n < f.r.Rounds {
		s = fmt.Sprintf(", %d of %d rounds", n, f.r.Rounds)
	}
	if len(o.Wrong) > 0 {
		s += " !"
	}
	return s
}

// overview is the first figure of a kind in each cell, for the peers that are in all.
func (f *facts) overview(kind, name string) []block {
	var cells []*result.Cell
	for _, c := range f.ofKind(kind) {
		if has(c, name) {
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
	t := &table{Caption: what + ": the median of the rounds; × is the ratio to " + result.Base + "'s, with its interval of 95 %.", Head: []string{"workload"}}
	if !f.based() {
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

// deadTable is when a peer that no longer answers was noticed.
func (f *facts) deadTable(c *result.Cell) *table {
	t := &table{Caption: c.Title + ".", Head: []string{"peer", "noticed after, s", "what the server said"}, Texts: []int{2}}
	for _, o := range f.inOrder(c) {
		noticed := fate(o, figure("notice_s"), o.Values("notice_s"), "never")
		t.Rows = append(t.Rows, []cell{{Text: o.Peer}, noticed, {Text: said(o)}})
	}
	f.noted(t, c)
	return t
}

// fate is how long something took, where it may never have happened.
func fate(o *result.Outcome, one result.Figure, values []float64, never string) cell {
	text := spread(one, values)
	switch n := len(o.Rounds); {
	case n == 0 || len(values) == 0 && len(o.Wrong) > 0:
		return cell{Text: "could not be found out"}
	case len(values) == 0:
		return cell{Text: never, Wrong: true}
	case len(values) < n:
		return cell{fmt.Sprintf("%s, in %d of %d rounds", text, len(values), n), "", true}
	}
	return cell{Text: text}
}

// noted adds a column of what there is to know about each outcome of c, if there is.
func (f *facts) noted(t *table, c *result.Cell) {
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

// drainTable is what the clients hear of a server that is told to end.
func (f *facts) drainTable(c *result.Cell) *table {
	t := &table{Caption: c.Title + ".", Head: []string{"peer", "clients that heard a close frame", "what they heard", "process ended after, s"}, Texts: []int{2}}
	for _, o := range f.inOrder(c) {
		told := cell{Text: "could not be found out"}
		if values := o.Values("told"); len(values) > 0 {
			told = cell{Text: spread(figure("told"), values), Wrong: slices.Min(values) < 1}
		}
		// No process ends in no time: it had not when it was no longer waited for.
		ended := slices.DeleteFunc(o.Values("end_s"), func(v float64) bool { return v <= 0 })
		t.Rows = append(t.Rows, []cell{{Text: o.Peer}, told, {Text: said(o)}, fate(o, figure("end_s"), ended, "it did not")})
	}
	f.noted(t, c)
	return t
}

func said(o *result.Outcome) string {
	if clean(o.Said) == "" {
		return "–"
	}
	return o.Said
}

// checkTables say which check each peer passes.
func (f *facts) checkTables() (blocks []block) {
	type check struct{ name, title, want string }
	var checks []check
	got := map[[2]string]result.Check{}
	for _, c := range f.r.Checks {
		if !slices.ContainsFunc(checks, func(k check) bool { return k.name == c.Name }) {
			checks = append(checks, check{c.Name, c.Title, c.Want})
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
	caption := "✓ is right, ✗ wrong, ? could not be found out, – was not tried."
	for some := range slices.Chunk(checked, each) {
		t := &table{Caption: caption, Head: append([]string{"what the client does"}, some...)}
		for _, k := range checks {
			row := texts(k.title)
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
		caption = "The same checks of other peers."
	}
	return append(blocks, f.wrongChecks()...)
}

// wrongChecks say what each peer did where it was not right.
func (f *facts) wrongChecks() []block {
	t := &table{Caption: "What each did where it was not right.", Head: []string{"peer", "what the client does", "right would be", "it"}, Texts: []int{1, 2, 3}}
	for _, p := range f.peers {
		for _, c := range f.r.Checks {
			switch {
			case c.Peer != p.Name || c.Right:
			case c.Error != "":
				t.Rows = append(t.Rows, texts(p.Name, c.Title, c.Want, "could not be found out: "+c.Error))
			default:
				t.Rows = append(t.Rows, texts(p.Name, c.Title, c.Want, c.Got))
			}
		}
	}
	if len(t.Rows) == 0 {
		return []block{{Text: "All that were checked were right in all."}}
	}
	return []block{{Table: t}}
}

// mistakes is a line for each peer that fails a check.
func (f *facts) mistakes() (lines []string) {
	for _, p := range f.peers {
		var wrong []string
		for _, c := range f.r.Checks {
			if c.Peer == p.Name && !c.Right && c.Error == "" {
				wrong = append(wrong, c.Title)
			}
		}
		if len(wrong) > 0 {
			lines = append(lines, p.Name+": "+sentence(strings.Join(wrong, "; ")))
		}
	}
	return lines
}

// faults is a line for each thing that came back wrong under load.
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
