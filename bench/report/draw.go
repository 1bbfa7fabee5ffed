package report

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// width is the width of all plots, the same as a column of text on the page.
const width vg.Length = 820

// styled returns a text style in Liberation Sans, which is as wide as Arial and Helvetica.
func styled(size vg.Length, color ink, x text.XAlignment, y text.YAlignment) text.Style {
	return text.Style{
		Color:   color,
		Font:    font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size),
		XAlign:  x,
		YAlign:  y,
		Handler: plot.DefaultTextHandler,
	}
}

// An axis is the horizontal or the vertical axis of a panel.
type axis struct {
	label    string
	log      bool
	set      bool // min and max are set
	min, max float64
	ticks    []plot.Tick // nil: 1, 2, 5, 10, …

	text func(float64) string // the label of a tick; nil: brief
}

// include widens a to v. It reports whether a can show v.
func (a *axis) include(v float64) bool {
	const most = 1e15 // no figure is larger
	if math.IsNaN(v) || math.Abs(v) > most || a.log && v < 1/most {
		return false
	}
	if !a.set {
		a.set, a.min, a.max = true, v, v
	}
	a.min, a.max = min(a.min, v), max(a.max, v)
	return true
}

// room adds a margin beyond the minimum and the maximum.
func (a *axis) room(share float64) {
	switch {
	case a.log:
		part := max(math.Pow(a.max/a.min, share), 1.15)
		a.min, a.max = a.min/part, a.max*part
	case a.max == a.min:
		a.max++
	default:
		a.max += share * (a.max - a.min)
	}
}

// marks returns the ticks of a. Each tick has a label.
func (a *axis) marks() []plot.Tick {
	if a.ticks != nil {
		return a.ticks
	}
	name := brief
	if a.text != nil {
		name = a.text
	}
	var ticks []plot.Tick
	if !a.log {
		step := math.Pow(10, math.Floor(math.Log10(a.max-a.min)))
		switch n := (a.max - a.min) / step; {
		case n < 2:
			step /= 5
		case n < 5:
			step /= 2
		}
		for i := math.Ceil(a.min / step); i*step <= a.max; i++ {
			ticks = append(ticks, plot.Tick{Value: i * step, Label: name(i * step)})
		}
		return ticks
	}
	steps, every := []float64{1}, 1.0
	switch decades := math.Log10(a.max / a.min); {
	case decades < 0.7:
		steps = []float64{1, 1.2, 1.5, 2, 3, 4, 5, 6, 8}
	case decades < 2:
		steps = []float64{1, 2, 5}
	case decades < 3:
		steps = []float64{1, 3}
	case decades > 8:
		every = math.Ceil(decades / 8)
	}
	for e := math.Floor(math.Log10(a.min)); e <= math.Log10(a.max); e += every {
		for _, s := range steps {
			if v := s * math.Pow(10, e); v >= a.min && v <= a.max {
				ticks = append(ticks, plot.Tick{Value: v, Label: name(v)})
			}
		}
	}
	return ticks
}

// brief returns a short text of a round number.
func brief(v float64) string {
	for _, unit := range []struct {
		of   float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= unit.of*(1-1e-9) {
			return strconv.FormatFloat(v/unit.of, 'g', 3, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// of returns the position of v along a, from 0 to 1.
func (a axis) of(v float64) vg.Length {
	if a.log {
		return vg.Length(plot.LogScale{}.Normalize(a.min, a.max, v))
	}
	return vg.Length(plot.LinearScale{}.Normalize(a.min, a.max, v))
}

// A frame is the area for the data of a panel.
type frame struct {
	draw.Canvas
	x, y axis
}

func (f frame) at(x, y float64) vg.Point {
	return vg.Point{X: f.X(float64(f.x.of(x))), Y: f.Y(float64(f.y.of(y)))}
}

const (
	topMargin    = 24
	bottomMargin = 36
)

// briefMicros returns a short text of a round number of microseconds.
func briefMicros(v float64) string {
	switch {
	case v >= 1e6*(1-1e-9):
		return brief(v/1e6) + " s"
	case v >= 1e3*(1-1e-9):
		return brief(v/1e3) + " ms"
	}
	return brief(v) + " µs"
}

// drawFrame draws a title, axes and a grid, and returns the area inside them. left is the
// width for the labels of the y axis.
func drawFrame(c draw.Canvas, title string, x, y axis, left vg.Length) frame {
	f := frame{draw.Crop(c, left, 0, bottomMargin, -topMargin), x, y}
	c.FillText(styled(12, "ink", text.XCenter, text.YTop), vg.Point{X: f.Center().X, Y: c.Max.Y}, title)
	for _, t := range x.marks() {
		at := f.at(t.Value, y.min)
		if len(y.marks()) == 0 {
			f.StrokeLine2(line("grid", 1), at.X, f.Min.Y, at.X, f.Max.Y)
		} else {
			f.StrokeLine2(line("grid", 1), at.X, f.Min.Y-3, at.X, f.Min.Y)
		}
		c.FillText(styled(11, "faint", text.XCenter, text.YTop), vg.Point{X: at.X, Y: f.Min.Y - 5}, t.Label)
	}
	for _, t := range y.marks() {
		at := f.at(x.min, t.Value)
		f.StrokeLine2(line("grid", 1), f.Min.X, at.Y, f.Max.X, at.Y)
		c.FillText(styled(11, "faint", text.XRight, text.YCenter), vg.Point{X: f.Min.X - 6, Y: at.Y}, t.Label)
	}
	f.StrokeLine2(line("grid", 1), f.Min.X, f.Min.Y, f.Max.X, f.Min.Y)
	c.FillText(styled(11, "faint", text.XCenter, text.YBottom), vg.Point{X: f.Center().X, Y: c.Min.Y}, x.label)
	turned := styled(11, "faint", text.XCenter, text.YTop)
	turned.Rotation = math.Pi / 2
	c.FillText(turned, vg.Point{X: c.Min.X, Y: f.Center().Y}, y.label)
	return f
}

// line returns the style of a line.
func line(color ink, width vg.Length) draw.LineStyle {
	return draw.LineStyle{Color: color, Width: width}
}

// A look is the appearance of a peer in all plots.
type look struct {
	color ink
	shape shape
	dash  []vg.Length
}

// A shape is the marker of a point: a polygon in a circle of radius 1. nil: the circle.
type shape []vg.Point

var shapes = []shape{
	nil,
	{{X: -0.8, Y: -0.8}, {X: 0.8, Y: -0.8}, {X: 0.8, Y: 0.8}, {X: -0.8, Y: 0.8}},
	{{X: -1, Y: -0.8}, {X: 1, Y: -0.8}, {X: 0, Y: 1}},
	{{X: -1.2}, {Y: -1.2}, {X: 1.2}, {Y: 1.2}},
	{{X: -1, Y: 0.8}, {X: 1, Y: 0.8}, {X: 0, Y: -1}},
	{{X: -0.5, Y: -1}, {X: 0.5, Y: -1}, {X: 0.5, Y: 1}, {X: -0.5, Y: 1}},
	{{X: -1, Y: -0.5}, {X: 1, Y: -0.5}, {X: 1, Y: 0.5}, {X: -1, Y: 0.5}},
}

func (l look) mark(c draw.Canvas, at vg.Point) {
	const radius = 3.4
	var p vg.Path
	if l.shape == nil {
		p.Arc(at, radius, 0, 2*math.Pi)
	}
	for i, corner := range l.shape {
		to := at.Add(corner.Scale(radius))
		if i == 0 {
			p.Move(to)
		} else {
			p.Line(to)
		}
	}
	p.Close()
	c.SetColor(l.color)
	c.Fill(p)
}

// looks returns the look of each peer. A peer with Full has curves, and so its own colour,
// shape and dash. The others have only bars with names, and share one colour.
func looks(peers []peer) map[string]look {
	of := make(map[string]look, len(peers))
	dashes := [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 3, 2, 3}}
	n, some := 0, slices.ContainsFunc(peers, func(p peer) bool { return p.Full })
	for _, p := range peers {
		if some && !p.Full {
			of[p.Name] = look{color: othersInk}
			continue
		}
		of[p.Name] = look{peerInks[n%len(peerInks)], shapes[n%len(shapes)], dashes[n%len(dashes)]}
		n++
	}
	return of
}

// A point is the median of a figure, with the minimum and maximum of the rounds.
type point struct{ x, y, low, high float64 }

// A curve is a figure of a peer along the x axis.
type curve struct {
	peer   string
	look   look
	points []point
}

// A panel is a chart of curves.
type panel struct {
	title  string
	x, y   axis
	curves []curve
}

// charts draws panels side by side.
func charts(panels []panel) *canvas {
	const height = 280
	perRow := min(len(panels), 2)
	if len(panels) == 3 {
		perRow = 3
	}
	rows := (len(panels) + perRow - 1) / perRow
	c := newCanvas(width, vg.Length(rows)*height)
	all := draw.New(c)
	wide := width / vg.Length(perRow)
	for i, p := range panels {
		left, top := vg.Length(i%perRow)*wide, vg.Length(i/perRow)*height
		p.draw(draw.Crop(all, left+8, left+wide-width-8, c.height-top-height+8, -top-10))
	}
	return c
}

func (p panel) draw(c draw.Canvas) {
	name, number := styled(11, "ink", text.XLeft, text.YCenter), styled(11, "ink", text.XRight, text.YCenter)
	var names, numbers vg.Length
	for _, s := range p.curves {
		names = max(names, name.Width(s.peer))
	}
	for _, t := range p.y.marks() {
		numbers = max(numbers, number.Width(t.Label))
	}
	f := drawFrame(draw.Crop(c, 0, -names-16, 0, 0), p.title, p.x, p.y, numbers+24)
	labels := make([]label, 0, len(p.curves))
	for i, s := range p.curves {
		beside := 2.5 * (vg.Length(i) - vg.Length(len(p.curves)-1)/2) // so that intervals do not cover each other
		var points []vg.Point
		for _, v := range s.points {
			at := f.at(v.x, v.y)
			at.X += beside
			points = append(points, at)
			if v.low < v.high {
				interval(c, s.look.color, vg.Point{X: at.X, Y: f.at(v.x, v.low).Y}, vg.Point{X: at.X, Y: f.at(v.x, v.high).Y})
			}
		}
		style := line(s.look.color, 1.6)
		style.Dashes = s.look.dash
		c.StrokeLines(style, points)
		for _, at := range points {
			s.look.mark(c, at)
		}
		labels = append(labels, label{s.peer, s.look, points[len(points)-1].Y})
	}
	for _, l := range separate(labels, 13, f.Min.Y, f.Max.Y) {
		l.look.mark(c, vg.Point{X: f.Max.X + 7, Y: l.y})
		c.FillText(name, vg.Point{X: f.Max.X + 14, Y: l.y}, l.name)
	}
}

// interval draws a line with a short stroke at each end.
func interval(c draw.Canvas, color ink, from, to vg.Point) {
	style := line(color, 1)
	c.StrokeLine2(style, from.X, from.Y, to.X, to.Y)
	for _, end := range []vg.Point{from, to} {
		if from.X == to.X {
			c.StrokeLine2(style, end.X-2.5, end.Y, end.X+2.5, end.Y)
		} else {
			c.StrokeLine2(style, end.X, end.Y-2.5, end.X, end.Y+2.5)
		}
	}
}

// A label names a curve at its end.
type label struct {
	name string
	look look
	y    vg.Length
}

// separate moves labels so that they do not overlap. It keeps the order of the curves.
func separate(labels []label, distance, low, high vg.Length) []label {
	slices.SortStableFunc(labels, func(a, b label) int {
		switch {
		case a.y > b.y:
			return -1
		case a.y < b.y:
			return 1
		}
		return 0
	})
	top := high
	for i := range labels {
		labels[i].y = min(labels[i].y, top)
		top = labels[i].y - distance
	}
	bottom := low
	for i := range slices.Backward(labels) {
		labels[i].y = max(labels[i].y, bottom)
		bottom = labels[i].y + distance
	}
	return labels
}

// A bar is a figure of a peer. It begins at bars.from.
type bar struct {
	point
	text   string // beside it
	hollow bool   // drawn without colour inside
}

// bars is a chart of the bars of several peers.
type bars struct {
	title string
	x     axis
	from  float64 // the value at which the bars begin
	of    map[string][]bar
}

// valueStyle is the style of a value beside its bar.
var valueStyle = styled(10, "ink", text.XLeft, text.YCenter)

// barCharts draws panels of bars side by side, with the same peers in each row.
func barCharts(peers []peer, of map[string]look, panels []bars, perRow int) *canvas {
	most := 1
	var values vg.Length
	for _, p := range panels {
		for _, b := range p.of {
			most = max(most, len(b))
			for _, one := range b {
				values = max(values, valueStyle.Width(one.text))
			}
		}
	}
	thick := vg.Length(most) * 11
	name := styled(11, "ink", text.XRight, text.YCenter)
	var names vg.Length
	for _, p := range peers {
		names = max(names, name.Width(p.Name))
	}
	names += 18
	height := vg.Length(len(peers))*(thick+6) + topMargin + bottomMargin + 14
	rows := (len(panels) + perRow - 1) / perRow
	c := newCanvas(width, vg.Length(rows)*height)
	all := draw.New(c)
	wide := (width - names) / vg.Length(min(perRow, len(panels)))
	for i, p := range panels {
		left, top := names+vg.Length(i%perRow)*wide, vg.Length(i/perRow)*height
		p.draw(draw.Crop(all, left, left+wide-width-6, c.height-top-height+6, -top-8), peers, of, i%perRow == 0, thick, values)
	}
	return c
}

func (p bars) draw(c draw.Canvas, peers []peer, of map[string]look, named bool, thick, values vg.Length) {
	f := drawFrame(draw.Crop(c, 4, -values-8, 0, 0), p.title, p.x, axis{min: -0.5, max: float64(len(peers)) - 0.5, ticks: []plot.Tick{}}, 0)
	for i, peer := range peers {
		middle := f.at(p.from, float64(len(peers)-1-i))
		if named {
			c.FillText(styled(11, "ink", text.XRight, text.YCenter), vg.Point{X: f.Min.X - 8, Y: middle.Y}, peer.Name)
		}
		all := p.of[peer.Name]
		if len(all) == 0 {
			c.FillText(styled(10, "faint", text.XLeft, text.YCenter), vg.Point{X: f.Max.X + 5, Y: middle.Y}, "–")
		}
		each := thick / vg.Length(max(len(all), 1))
		for j, b := range all {
			at := middle.Y + thick/2 - each*(vg.Length(j)+0.5)
			low, high, to := at-each/2+0.5, at+each/2-0.5, f.at(b.y, 0).X
			box := []vg.Point{{X: middle.X, Y: low}, {X: to, Y: low}, {X: to, Y: high}, {X: middle.X, Y: high}}
			color := of[peer.Name].color
			if b.hollow {
				c.FillPolygon(ink("ground"), box)
			} else {
				c.FillPolygon(color, box)
			}
			c.StrokeLines(line(color, 1), append(box, box[0]))
			if b.low < b.high {
				interval(c, "ink", vg.Point{X: f.at(b.low, 0).X, Y: at}, vg.Point{X: f.at(b.high, 0).X, Y: at})
			}
			c.FillText(valueStyle, vg.Point{X: f.Max.X + 5, Y: at}, b.text)
		}
	}
	from := f.at(p.from, 0).X
	c.StrokeLine2(line("faint", 1), from, f.Min.Y, from, f.Max.Y)
}
