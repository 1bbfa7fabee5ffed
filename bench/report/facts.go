package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"example.com/wsecho/bench/result"
	"example.com/wsecho/internal/number"
	"example.com/wsecho/load"
)

type peer = result.Peer

// facts contains a report and the values that tables and plots need.
type facts struct {
	r     *result.Report
	peers []peer // the peers of r, and unlisted peers with figures
	cells []*result.Cell
	looks map[string]look
	costs []cost
}

// A cost is a chosen cell with the CPU time of servers.
type cost struct {
	cell   *result.Cell
	figure string
	title  string
}

func factsOf(r *result.Report) *facts {
	if len(r.Checks) > 0 {
		whole := *r
		whole.Checks = append(slices.Clone(r.Checks), deadPeerChecks(r)...)
		r = &whole
	}
	f := &facts{r: r, peers: slices.Clone(r.Peers), cells: r.Cells}
	known := func(name string) {
		if !slices.ContainsFunc(f.peers, func(p peer) bool { return p.Name == name }) {
			f.peers = append(f.peers, peer{Name: name})
		}
	}
	for _, c := range r.Cells {
		for _, o := range c.Outcomes {
			known(o.Peer)
		}
		for _, name := range []string{"cpu_us", "cpu_us_conn"} {
			if c.Chosen && has(c, name) {
				f.costs = append(f.costs, cost{c, name, columnTitle(c)})
				break
			}
		}
	}
	for _, c := range r.Checks {
		known(c.Peer)
	}
	f.looks = looks(f.peers)
	for i, c := range f.costs {
		f.costs[i].title = f.titleOf(c.cell)
	}
	return f
}

// titleOf returns the head of a cell's column. It names the connections if another cell, also one
// of another table, differs only in them.
func (f *facts) titleOf(c *result.Cell) string {
	title := columnTitle(c)
	for _, other := range f.cells {
		if other.Connections != c.Connections && columnTitle(other) == title {
			return title + ", " + number.Plural(c.Connections, "connection")
		}
	}
	return title
}

// deadPeerChecks returns checks of whether each peer notices dead clients. No RFC demands
// them.
func deadPeerChecks(r *result.Report) (checks []result.Check) {
	for _, c := range r.Cells {
		if c.Kind != result.Dead {
			continue
		}
		title, _, _ := strings.Cut(c.Title, ",")
		for _, o := range c.Outcomes {
			checked := slices.ContainsFunc(r.Checks, func(k result.Check) bool { return k.Peer == o.Peer })
			if len(o.Rounds) == 0 || !checked {
				continue // there is no result
			}
			k := result.Check{Peer: o.Peer, Name: c.ID, Title: title, Rule: "detection of " + title, Want: "noticed", Got: "not noticed", Right: len(o.Values("notice_s")) > 0}
			if k.Right {
				k.Got = k.Want
			}
			checks = append(checks, k)
		}
	}
	return checks
}

// has reports whether any peer has a figure in c.
func has(c *result.Cell, name string) bool {
	return slices.ContainsFunc(c.Outcomes, func(o *result.Outcome) bool { return len(o.Values(name)) > 0 })
}

// columnTitle returns a short description of a cell for the head of a column.
func columnTitle(c *result.Cell) string {
	switch c.Kind {
	case result.Open:
		return fmt.Sprintf("%s, open loop at %s", number.Bytes(c.Size), number.Percent(c.Share))
	case result.Churn:
		return "connect, " + number.Bytes(c.Size) + ", close"
	}
	return describe(c)
}

// over divides a figure of a peer by the figure of the base. The base has no ratio. Nor has a
// figure of 0, which is below the resolution of the clock.
func (f *facts) over(c *result.Cell, name, figure string) (load.Ratio, bool) {
	if name == result.Base {
		return load.Ratio{}, false
	}
	r, ok := c.Of(name).Over(c.Of(result.Base), figure)
	return r, ok && r.Median > 0
}

// hasBase reports whether the base was measured.
func (f *facts) hasBase() bool {
	return slices.ContainsFunc(f.cells, func(c *result.Cell) bool { return len(roundsOf(c.Of(result.Base))) > 0 })
}

func roundsOf(o *result.Outcome) []map[string]float64 {
	if o == nil {
		return nil
	}
	return o.Rounds
}

// ofKind returns the cells of a kind that have outcomes.
func (f *facts) ofKind(kind string) (cells []*result.Cell) {
	for _, c := range f.cells {
		if c.Kind == kind && len(c.Outcomes) > 0 {
			cells = append(cells, c)
		}
	}
	return cells
}

// inOrder returns the outcomes of c in the order of the peers.
func (f *facts) inOrder(c *result.Cell) (outcomes []*result.Outcome) {
	for _, p := range f.peers {
		if o := c.Of(p.Name); o != nil {
			outcomes = append(outcomes, o)
		}
	}
	return outcomes
}

// A tally counts the checks of a peer.
type tally struct {
	all, unknown int
	violations   []string // broken rules with their sections, each once
	lacking      []string // failed checks that no RFC demands, by their rules, each once
}

func (f *facts) tallyOf(name string) (t tally) {
	for _, c := range f.r.Checks {
		if c.Peer != name {
			continue
		}
		t.all++
		rule := cmp.Or(c.Rule, c.Title)
		switch {
		case c.Error != "":
			t.unknown++
		case c.Right:
		case c.Section == "":
			if !slices.Contains(t.lacking, rule) {
				t.lacking = append(t.lacking, rule)
			}
		default:
			if rule += " (" + c.Section + ")"; !slices.Contains(t.violations, rule) {
				t.violations = append(t.violations, rule)
			}
		}
	}
	return t
}

func (t tally) String() string {
	if t.all == 0 {
		return "–"
	}
	s := fmt.Sprint(len(t.violations))
	if t.unknown > 0 {
		s += fmt.Sprintf(", %d unknown", t.unknown)
	}
	return s
}

// p99Cell returns the chosen cell whose p99 the main table shows. An open loop at about half
// of the maximum is best. The first cell with the fewest messages in flight is next.
func (f *facts) p99Cell() *result.Cell {
	var best *result.Cell
	rank := func(c *result.Cell) float64 {
		if c.Kind == result.Open {
			return max(c.Share-0.5, 0.5-c.Share)
		}
		return 1 + float64(c.InFlight)
	}
	for _, c := range f.cells {
		if c.Chosen && has(c, "p99_us") && (best == nil || rank(c) < rank(best)) {
			best = c
		}
	}
	return best
}

// idleCell returns the cell whose memory the main table shows. It prefers a chosen cell,
// then one without pings, then the one with the most connections.
func (f *facts) idleCell() *result.Cell {
	var best *result.Cell
	for _, c := range f.cells {
		if c.Kind != result.Idle || !has(c, "idle_kib") {
			continue
		}
		better := best == nil || c.Chosen && !best.Chosen
		if best != nil && c.Chosen == best.Chosen {
			quiet, bestQuiet := c.Heartbeat == 0, best.Heartbeat == 0
			better = quiet && !bestQuiet || quiet == bestQuiet && c.Connections > best.Connections
		}
		if better {
			best = c
		}
	}
	return best
}

// versionOf returns the version of a peer, with its language if that is not Go.
func versionOf(p peer) string {
	v := p.Version
	if v == "" {
		v = "–"
	}
	if p.Language != "" && !strings.EqualFold(p.Language, "Go") {
		v += ", " + p.Language
	}
	return v
}
