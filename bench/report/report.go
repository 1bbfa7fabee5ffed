// Package report writes the results of a comparison. The forms are Markdown with plots,
// one HTML page, and a short text for a terminal.
package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/wsecho/bench/result"
	"example.com/wsecho/internal/number"
	"example.com/wsecho/load"
)

// documentOf returns the whole page about r.
func documentOf(r *result.Report) (*document, error) {
	f := factsOf(r)
	plots, err := plotsOf(f)
	if err != nil {
		return nil, err
	}
	drawn := func(name string) (blocks []block) {
		for i := range plots {
			if plots[i].Name == name || strings.HasPrefix(plots[i].Name, name+"-") {
				blocks = append(blocks, block{Plot: &plots[i]})
			}
		}
		return blocks
	}
	d := &document{Title: "WebSocket servers compared"}
	add := func(id, title string, blocks ...[]block) {
		d.Sections = append(d.Sections, section{id, title, slices.Concat(blocks...)})
	}
	add("result", "Result", f.opening(), f.mainBlocks(), drawn(mainPlot))
	if faults := f.faults(); len(faults) > 0 {
		add("wrong", "Faults under load", []block{{List: faults}})
	}
	add("reading", "How to read the figures", f.howToRead())
	add("echo", "Echo, closed loop", drawn(costPlot), drawn(ratePlot), f.overview(result.Echo, "cpu_us"), f.kind(result.Echo, f.figureTables))
	add("open", "Latency by load, open loop", drawn(latencyPlot), f.overview(result.Open, "p99_us"), f.kind(result.Open, f.figureTables))
	add("churn", "Connection churn", f.overview(result.Churn, "cpu_us_conn"), f.kind(result.Churn, f.figureTables))
	add("idle", "Idle connections and memory", drawn(heartbeatPlot), drawn(memoryPlot), f.overview(result.Idle, "idle_kib"), f.kind(result.Idle, f.figureTables))
	add("dead", "Dead clients", f.kind(result.Dead, tabled(f.deadTable)))
	add("drain", "Graceful shutdown", f.kind(result.Drain, tabled(f.drainTable)))
	checks := f.checkTables()
	if checks == nil {
		checks = []block{{Text: "Correctness was not checked."}}
	}
	add("correctness", "Correctness", checks)
	add("peers", "Servers", f.peerBlocks())
	add("machine", "Machine and command", f.machine())
	if notes := f.notes(); len(notes) > 0 {
		add("notes", "Notes", []block{{List: notes}})
	}
	d.cleanTexts()
	return d, nil
}

func tabled(of func(*result.Cell) *table) func(*result.Cell) []block {
	return func(c *result.Cell) []block { return []block{{Table: of(c)}} }
}

// kind returns the blocks of all cells of a kind.
func (f *facts) kind(kind string, show func(*result.Cell) []block) (blocks []block) {
	for _, c := range f.ofKind(kind) {
		blocks = append(blocks, show(c)...)
	}
	if blocks == nil {
		return []block{{Text: "Nothing of this kind was measured."}}
	}
	return blocks
}

// opening returns the five sentences, a description of the run, and warnings.
func (f *facts) opening() []block {
	r := f.r
	s := fmt.Sprintf("%s on %s, %s", number.Plural(f.measured(), "server"), machineOf(r.Machine), number.Plural(r.Rounds, "round"))
	if r.Measured > 0 {
		s += fmt.Sprintf(" of %s each", short(r.Measured))
	}
	s += when(r)
	if clean(r.Commit) != "" {
		s += ", commit " + r.Commit
	}
	var blocks []block
	if found := f.findings(); len(found) > 0 {
		blocks = append(blocks, block{Text: "Summary:"}, block{List: found})
	}
	blocks = append(blocks, block{Text: sentence(s)})
	if r.Interrupted {
		blocks = append(blocks, block{Warn: "The run was interrupted. These are its figures until then."})
	}
	if len(f.cells) > 0 && !f.hasBase() {
		blocks = append(blocks, block{Warn: "There are no figures of " + result.Base + ", so there are no ratios."})
	}
	if n := len(f.faults()); n > 0 {
		blocks = append(blocks, block{Warn: number.Plural(n, "fault") + " under load, each listed below. The figures of a server with wrong replies are not valid."})
	}
	if r.Rounds < load.FewestRounds {
		blocks = append(blocks, block{Warn: fmt.Sprintf("%s cannot show a significant difference. That needs %d.", number.Plural(r.Rounds, "round"), load.FewestRounds)})
	}
	return blocks
}

func when(r *result.Report) string {
	if r.Began.IsZero() {
		return ""
	}
	return ", " + r.Began.UTC().Format("2 January 2006, 15:04 UTC")
}

func machineOf(m result.Machine) string {
	name := clean(m.Processor)
	if name == "" {
		name = "an unnamed machine"
	}
	if m.Processors > 0 {
		name += " (" + number.Plural(m.Processors, "processor") + ")"
	}
	return name
}

// measured returns the number of peers with figures.
func (f *facts) measured() (n int) {
	for _, p := range f.peers {
		if f.hasRounds(p.Name) {
			n++
		}
	}
	return n
}

func (f *facts) hasRounds(name string) bool {
	return slices.ContainsFunc(f.cells, func(c *result.Cell) bool { return len(roundsOf(c.Of(name))) > 0 })
}

// mainBlocks returns the main table, the table of correctness, and the peers without figures.
func (f *facts) mainBlocks() []block {
	var blocks []block
	if t := f.mainTable(); t != nil {
		blocks = append(blocks, block{Table: t})
	} else {
		blocks = append(blocks, block{Text: "No workload of the main table was measured."})
	}
	if t := f.correctnessTable(); t != nil {
		blocks = append(blocks, block{Table: t})
	}
	if lines := f.notMeasured(); len(lines) > 0 {
		blocks = append(blocks, block{Text: "Not measured:"}, block{List: lines})
	}
	return blocks
}

// notMeasured lists the peers without figures, each with the reason.
func (f *facts) notMeasured() (lines []string) {
	for _, p := range f.peers {
		switch {
		case p.Skipped != "":
			lines = append(lines, p.Name+": "+sentence(p.Skipped))
		case !f.hasRounds(p.Name):
			why := "it has no figures"
			if f.r.Interrupted {
				why = "the run was interrupted before its measurement"
			}
			lines = append(lines, p.Name+": "+sentence(why))
		}
	}
	return lines
}

// howToRead explains the figures.
func (f *facts) howToRead() []block {
	shared := "Client and server share the machine"
	if n := f.r.Machine.Processors; n > 0 {
		shared = "Client and server share the " + number.Plural(n, "processor") + " of one machine"
	}
	list := []string{
		shared + ", so a rate depends on the client too. The main figure is server CPU: the user and system time of the server's process per message.",
		fmt.Sprintf("÷ %s: the figure of a server divided by the figure of %s in the same round. The number is the median of these ratios. The interval in parentheses comes from the bootstrap: 95 %% of the medians of resampled rounds lie in it. %s Below a figure, × marks the same ratio.", result.Base, result.Base, load.RatioLegend),
		"Any other number is the median of the rounds, with minimum and maximum in parentheses.",
		"Red, or bold in Markdown, marks a fault: a wrong reply, a failed check, a missing close frame.",
	}
	if len(f.ofKind(result.Echo)) > 0 {
		list = append(list, "In a closed loop, the client sends the next message only after a reply. A server that stalls receives no messages meanwhile, so its p99 is too low.")
	}
	if len(f.ofKind(result.Open)) > 0 {
		list = append(list, "In an open loop, each message has a due time, and its latency counts from that time. The load is a share of this server's own maximum, so a faster server receives more messages.")
	}
	list = append(list, "Not measured: a network (all connections use the loopback), more processors, and handlers that do other work."+f.missingOptions())
	return []block{{List: list}}
}

// missingOptions names the options that no cell measures.
func (f *facts) missingOptions() string {
	var none []string
	for _, one := range []struct {
		name string
		of   func(*result.Cell) bool
	}{
		{"TLS", func(c *result.Cell) bool { return c.TLS }},
		{"compression", func(c *result.Cell) bool { return c.Compression }},
	} {
		if !slices.ContainsFunc(f.cells, func(c *result.Cell) bool { return one.of(c) && len(c.Outcomes) > 0 }) {
			none = append(none, one.name)
		}
	}
	if len(none) == 0 {
		return ""
	}
	return " This run did not measure " + strings.Join(none, " and ") + "."
}

// peerBlocks describes the servers.
func (f *facts) peerBlocks() []block {
	if len(f.peers) == 0 {
		return []block{{Text: "This report contains no servers."}}
	}
	t := &table{Caption: "The compared servers and their programs.", Head: []string{"server", "description", "version", "measured", "note"}, Texts: []int{1, 2, 3, 4}}
	for _, p := range f.peers {
		measured := "in the main table"
		switch {
		case p.Skipped != "":
			measured = "no: " + p.Skipped
		case !f.hasRounds(p.Name):
			measured = "no"
		case p.Full:
			measured = "in all workloads"
		}
		t.Rows = append(t.Rows, texts(p.Name, p.Title, versionOf(p), measured, p.Note))
	}
	return []block{{Table: t}}
}

// machine describes the machine and the run.
func (f *facts) machine() []block {
	r := f.r
	var list []string
	say := func(name, text string) {
		if clean(text) != "" {
			list = append(list, name+": "+text)
		}
	}
	say("Processor", machineOf(r.Machine))
	if r.Machine.Memory > 0 {
		say("Memory", number.Digits(float64(r.Machine.Memory)/(1<<30))+" GiB")
	}
	say("System", r.Machine.System)
	say("Kernel", r.Machine.Kernel)
	say("Go", r.Machine.Go)
	if !r.Began.IsZero() {
		say("Began", r.Began.UTC().Format(time.RFC3339))
	}
	if r.Took > 0 {
		say("Took", short(r.Took))
	}
	say("Rounds", fmt.Sprint(r.Rounds))
	if r.Measured > 0 {
		say("Duration of a measurement", short(r.Measured))
	}
	commit := r.Commit
	if commit == "" {
		commit = "unknown"
	}
	say("Commit", commit)
	blocks := []block{{List: list}}
	if clean(r.Command) != "" {
		blocks = append(blocks, block{Text: "The command:"}, block{Code: r.Command})
	}
	return blocks
}

// notes returns the notes of the run and of each outcome. A note of several outcomes
// appears once.
func (f *facts) notes() (lines []string) {
	for _, n := range f.r.Notes {
		lines = append(lines, sentence(n))
	}
	where := map[string][]string{}
	var order []string
	for _, c := range f.cells {
		for _, o := range f.inOrder(c) {
			for _, n := range o.Notes {
				if where[n] == nil {
					order = append(order, n)
				}
				where[n] = append(where[n], o.Peer+" ("+c.Title+")")
			}
		}
	}
	for _, n := range order {
		lines = append(lines, sentence(n)+" "+sentence(strings.Join(where[n], "; ")))
	}
	return lines
}
