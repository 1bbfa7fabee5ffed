package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gonum.org/v1/plot"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/internal/number"
	"example.com/wsecho/load"
)

// A Plot is a drawing.
type Plot struct {
	Name    string // short; the name of the file without ".svg"
	Title   string
	Caption string // sentences
	SVG     []byte
}

// The names of the plots.
const (
	mainPlot      = "cost-chosen"
	ratePlot      = "rate-by-size"
	costPlot      = "cost-by-size"
	latencyPlot   = "latency-by-load"
	memoryPlot    = "memory-by-connections"
	heartbeatPlot = "memory-idle"
)

// Plots draws every plot for which r has figures.
func Plots(r *result.Report) ([]Plot, error) { return plotsOf(factsOf(r)) }

func plotsOf(f *facts) (plots []Plot, err error) {
	add := func(name, title, caption string, c *canvas) {
		if c == nil || err != nil {
			return
		}
		var svg []byte
		if svg, err = c.svg(name, title, caption); err != nil {
			err = fmt.Errorf("plot %s: %w", name, err)
			return
		}
		plots = append(plots, Plot{name, title, caption, svg})
	}
	f.addMain(add)
	f.addBySize(add, costPlot, "Server CPU per message, by size", "cpu_us", "Less is better.")
	f.addBySize(add, ratePlot, "Messages per second, by size", "rate", "More is better. Client and server share the processors, so the rate depends on the client too.")
	f.addLatency(add)
	f.addMemory(add)
	f.addIdle(add)
	return plots, err
}

type addPlot func(name, title, caption string, c *canvas)

const lines = "Markers are medians of the rounds. Their lines reach from the minimum to the maximum."

// pointOf returns a figure of o as a point, if the axis can show it.
func pointOf(o *result.Outcome, name string, x float64, y *axis) (point, bool) {
	values := o.Values(name)
	if len(values) == 0 {
		return point{}, false
	}
	p := point{x, measure.Sample(values).Median(), slices.Min(values), slices.Max(values)}
	if !y.include(p.y) {
		return p, false
	}
	if !y.include(p.low) {
		p.low = p.y
	}
	if !y.include(p.high) {
		p.high = p.y
	}
	return p, true
}

// addMain draws the cost of a message as a ratio to the base.
func (f *facts) addMain(add addPlot) {
	var panels []bars
	x := axis{log: true, set: true, min: 0.8, max: 1.25, label: "÷ " + result.Base}
	var measured []peer
	for _, p := range f.peers {
		if p.Name != result.Base && slices.ContainsFunc(f.costs, func(c cost) bool { _, ok := f.over(c.cell, p.Name, c.figure); return ok }) {
			measured = append(measured, p)
		}
	}
	for _, c := range f.costs {
		b := bars{title: c.title, from: 1, of: map[string][]bar{}}
		for _, p := range measured {
			r, ok := f.over(c.cell, p.Name, c.figure)
			if !ok || !x.include(r.Median) {
				continue
			}
			one := bar{point: point{y: r.Median, low: r.Median, high: r.Median}, hollow: r.Noise}
			one.text, _ = r.Text("")
			if r.Rounds >= load.FewestRounds && x.include(r.Low) && x.include(r.High) {
				one.low, one.high = r.Low, r.High
			}
			b.of[p.Name] = []bar{one}
		}
		if len(b.of) > 0 {
			panels = append(panels, b)
		}
	}
	if len(panels) == 0 {
		return
	}
	x.room(0.03)
	for i := range panels {
		panels[i].x = x
	}
	perRow := len(panels)
	for perRow > 3 {
		perRow = (perRow + 1) / 2
	}
	add(mainPlot, "Server CPU ÷ "+result.Base, "A server left of 1 uses less CPU time than "+result.Base+". A server right of 1 uses more. Lines are intervals of 95 %. A hollow bar is not significant. "+load.RatioLegend+" "+colours,
		barCharts(measured, f.looks, panels, perRow))
}

// curvesOf returns the curves of the peers with Full. If none of them has a curve, it
// returns those of all peers.
func (f *facts) curvesOf(pointsOf func(p peer) []point) []curve {
	var all, full []curve
	for _, p := range f.peers {
		points := pointsOf(p)
		if len(points) < 2 {
			continue
		}
		c := curve{p.Name, f.looks[p.Name], points}
		all = append(all, c)
		if p.Full {
			full = append(full, c)
		}
	}
	if len(full) > 0 {
		return full
	}
	return all
}

// curves returns one curve for each peer: a figure along cells.
func (f *facts) curves(cells []*result.Cell, name string, x, y *axis, along func(*result.Cell) float64) []curve {
	found := f.curvesOf(func(p peer) []point {
		var points []point
		for _, c := range cells {
			free := axis{log: y.log}
			if one, ok := pointOf(c.Of(p.Name), name, along(c), &free); ok {
				points = append(points, one)
			}
		}
		return points
	})
	for _, c := range found {
		for _, p := range c.points {
			x.include(p.x)
			y.include(p.low)
			y.include(p.high)
		}
	}
	return found
}

// addBySize draws a figure by message size, with a panel for each number in flight.
func (f *facts) addBySize(add addPlot, plotName, title, name, better string) {
	y := axis{log: true, label: heading(figure(name))}
	if name == "cpu_us" {
		y.label, y.text = figure(name).Title+" per message", briefMicros
	}
	byFlight := map[int][]*result.Cell{}
	for _, c := range f.cells {
		if c.Kind == result.Echo && !c.Compression && !c.TLS && c.Size > 0 {
			byFlight[c.InFlight] = append(byFlight[c.InFlight], c)
		}
	}
	var panels []panel
	caption := []string{lines, better}
	for _, flight := range slices.Sorted(maps.Keys(byFlight)) {
		cells, connections := perSize(byFlight[flight])
		p := panel{title: fmt.Sprintf("%d in flight", flight), x: axis{log: true, label: "size of a message"}}
		p.curves = f.curves(cells, name, &p.x, &y, func(c *result.Cell) float64 { return float64(c.Size) })
		if len(p.curves) == 0 {
			continue
		}
		for _, c := range cells {
			p.x.ticks = append(p.x.ticks, plot.Tick{Value: float64(c.Size), Label: number.Bytes(c.Size)})
		}
		p.x.room(0.05)
		panels = append(panels, p)
		caption = append(caption, fmt.Sprintf("%d in flight: %s.", flight, connections))
	}
	if len(panels) == 0 {
		return
	}
	y.room(0.05)
	for i := range panels {
		panels[i].y = y
	}
	add(plotName, title, strings.Join(caption, " "), charts(panels))
}

// perSize picks one cell for each size. It prefers the number of connections that most
// sizes have, and describes its choice.
func perSize(cells []*result.Cell) (picked []*result.Cell, connections string) {
	sizes := map[int]int{}
	for _, c := range cells {
		sizes[c.Connections]++
	}
	usual := slices.MaxFunc(slices.Sorted(maps.Keys(sizes)), func(a, b int) int { return cmp.Compare(sizes[a], sizes[b]) })
	bySize := map[int]*result.Cell{}
	for _, c := range cells {
		if old := bySize[c.Size]; old == nil || old.Connections != usual && c.Connections == usual {
			bySize[c.Size] = c
		}
	}
	connections = number.Plural(usual, "connection")
	for _, s := range slices.Sorted(maps.Keys(bySize)) {
		c := bySize[s]
		picked = append(picked, c)
		if c.Connections != usual {
			connections += fmt.Sprintf(", %d for %s", c.Connections, number.Bytes(s))
		}
	}
	return picked, connections
}

// groupBy groups cells with equal keys. The key leaves out the property in which the
// cells of a group differ.
func groupBy[K comparable](cells []*result.Cell, key func(*result.Cell) (K, bool)) (groups [][]*result.Cell) {
	index := map[K]int{}
	for _, c := range cells {
		k, ok := key(c)
		if !ok {
			continue
		}
		i, ok := index[k]
		if !ok {
			i = len(groups)
			index[k] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// addLatency draws percentiles by the share of the maximum, with a panel for each.
func (f *facts) addLatency(add addPlot) {
	type key struct {
		size, connections int
		compression, tls  bool
	}
	groups := groupBy(f.cells, func(c *result.Cell) (key, bool) {
		return key{c.Size, c.Connections, c.Compression, c.TLS}, c.Kind == result.Open
	})
	for n, cells := range groups {
		slices.SortFunc(cells, func(a, b *result.Cell) int { return cmp.Compare(a.Share, b.Share) })
		y := axis{log: true, label: "latency", text: briefMicros}
		var panels []panel
		for _, name := range []string{"p50_us", "p99_us", "p999_us"} {
			p := panel{title: figure(name).Title, x: axis{label: "load, share of the server's own maximum"}}
			p.curves = f.curves(cells, name, &p.x, &y, func(c *result.Cell) float64 { return c.Share })
			if len(p.curves) == 0 {
				continue
			}
			for _, c := range cells {
				p.x.ticks = append(p.x.ticks, plot.Tick{Value: c.Share, Label: number.Percent(c.Share)})
			}
			margin := max(0.08*(p.x.max-p.x.min), 0.01)
			p.x.min, p.x.max = p.x.min-margin, p.x.max+margin
			panels = append(panels, p)
		}
		if len(panels) == 0 {
			continue
		}
		y.room(0.05)
		for i := range panels {
			panels[i].y = y
		}
		name, what := latencyPlot, describe(cells[0])
		if n > 0 {
			name += fmt.Sprintf("-%d", n+1)
		}
		add(name, "Latency by load", "Open loop: "+what+". Less is better. "+lines+" A server with a higher maximum receives more messages.", charts(panels))
	}
}

// addMemory draws memory by connections.
func (f *facts) addMemory(add addPlot) {
	type key struct {
		kind             string
		size, inFlight   int
		compression, tls bool
		heartbeat        bool
	}
	groups := groupBy(f.cells, func(c *result.Cell) (key, bool) {
		return key{c.Kind, c.Size, c.InFlight, c.Compression, c.TLS, c.Heartbeat > 0},
			(c.Kind == result.Echo || c.Kind == result.Idle) && c.Connections > 0
	})
	var panels []panel
	for _, cells := range groups {
		slices.SortStableFunc(cells, func(a, b *result.Cell) int { return cmp.Compare(a.Connections, b.Connections) })
		name := "rss_mib"
		if cells[0].Kind == result.Idle {
			name = "idle_kib"
		}
		p := panel{title: describe(cells[0]), x: axis{log: true, label: "connections"}, y: axis{log: true, label: heading(figure(name))}}
		p.curves = f.curves(cells, name, &p.x, &p.y, func(c *result.Cell) float64 { return float64(c.Connections) })
		if len(p.curves) == 0 || p.x.min == p.x.max {
			continue
		}
		for _, c := range cells {
			p.x.ticks = append(p.x.ticks, plot.Tick{Value: float64(c.Connections), Label: brief(float64(c.Connections))})
		}
		p.x.room(0.05)
		p.y.room(0.05)
		panels = append(panels, p)
	}
	if len(panels) > 4 { // the smallest and the largest workloads suffice
		panels = append(panels[:2], panels[len(panels)-2:]...)
	}
	if len(panels) > 0 {
		add(memoryPlot, "Memory by connections", lines+" Less is better.", charts(panels))
	}
}

// describe describes a cell without its connections and its share.
func describe(c *result.Cell) string {
	var s []string
	if c.Kind == result.Idle {
		s = append(s, "idle")
		if c.Heartbeat > 0 {
			s = append(s, "a heartbeat every "+short(c.Heartbeat))
		}
	} else {
		s = append(s, number.Bytes(c.Size))
		if c.InFlight > 0 {
			s = append(s, fmt.Sprintf("%d in flight", c.InFlight))
		}
	}
	if c.Kind == result.Open {
		s = append(s, number.Plural(c.Connections, "connection"))
	}
	if c.Compression {
		s = append(s, "compressed")
	}
	if c.TLS {
		s = append(s, "TLS")
	}
	return strings.Join(s, ", ")
}

// addIdle draws the memory of an idle connection, with a panel for each number of
// connections.
func (f *facts) addIdle(add addPlot) {
	type key struct {
		connections      int
		compression, tls bool
	}
	groups := groupBy(f.cells, func(c *result.Cell) (key, bool) {
		return key{c.Connections, c.Compression, c.TLS}, c.Kind == result.Idle
	})
	const name = "idle_kib"
	var panels []bars
	some := map[string]bool{}
	for _, cells := range groups {
		slices.SortStableFunc(cells, func(a, b *result.Cell) int { return cmp.Compare(a.Heartbeat, b.Heartbeat) })
		b := bars{of: map[string][]bar{}, x: axis{label: heading(figure(name))}}
		b.title = number.Plural(cells[0].Connections, "connection")
		if cells[0].Compression {
			b.title += ", compressed"
		}
		if cells[0].TLS {
			b.title += ", TLS"
		}
		for _, p := range f.peers {
			for _, c := range cells {
				one, ok := pointOf(c.Of(p.Name), name, 0, &b.x)
				if !ok {
					continue
				}
				b.of[p.Name] = append(b.of[p.Name], bar{point: one, text: number.Digits(one.y) + pingSuffix(c)})
				some[p.Name] = true
			}
		}
		if len(b.of) == 0 {
			continue
		}
		b.x.min = min(b.x.min, 0) // bars begin at 0
		b.x.room(0.03)
		panels = append(panels, b)
	}
	if len(panels) == 0 {
		return
	}
	var measured []peer
	for _, p := range f.peers {
		if some[p.Name] {
			measured = append(measured, p)
		}
	}
	add(heartbeatPlot, "Memory of an idle connection", "Resident memory of the server per idle connection. Less is better. Lines reach from the minimum to the maximum of the rounds. "+colours,
		barCharts(measured, f.looks, panels, min(len(panels), 2)))
}

// pingSuffix marks the bar of a cell with a heartbeat.
func pingSuffix(c *result.Cell) string {
	if c.Heartbeat > 0 {
		return ", a ping every " + short(c.Heartbeat)
	}
	return ""
}

// colours explains the colours of bars.
const colours = "Each server that is measured in every workload has its own colour in all plots. The other bars are grey."
