package report

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"image"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// An ink is the name of a colour. The style defines a light and a dark value for it.
type ink string

// RGBA makes ink a color.Color. The style defines the real colour.
func (ink) RGBA() (r, g, b, a uint32) { return 0, 0, 0, 0xffff }

// A canvas draws SVG with text elements. gonum/plot has an SVG canvas too, but it has no
// dark colours and uses a font that few systems have.
type canvas struct {
	width, height vg.Length
	out           bytes.Buffer
	now           state
	stack         []state
	err           error
}

type state struct {
	matrix [6]float64 // x' = m0 x + m2 y + m4, y' = m1 x + m3 y + m5
	color  ink
	line   vg.Length
	dash   []vg.Length
}

func newCanvas(width, height vg.Length) *canvas {
	c := &canvas{width: width, height: height}
	// The y axis of SVG points down.
	c.now = state{matrix: [6]float64{1, 0, 0, -1, 0, float64(height)}, color: "ink", line: 1}
	return c
}

func (c *canvas) Size() (x, y vg.Length)                 { return c.width, c.height }
func (c *canvas) SetLineWidth(w vg.Length)               { c.now.line = w }
func (c *canvas) SetLineDash(d []vg.Length, _ vg.Length) { c.now.dash = d }

func (c *canvas) SetColor(v color.Color) {
	i, ok := v.(ink)
	if !ok {
		c.err = errors.Join(c.err, fmt.Errorf("a plot has the colour %v, want an ink", v))
	}
	c.now.color = i
}

func (c *canvas) transform(m [6]float64) {
	n := c.now.matrix
	c.now.matrix = [6]float64{
		n[0]*m[0] + n[2]*m[1], n[1]*m[0] + n[3]*m[1],
		n[0]*m[2] + n[2]*m[3], n[1]*m[2] + n[3]*m[3],
		n[0]*m[4] + n[2]*m[5] + n[4], n[1]*m[4] + n[3]*m[5] + n[5],
	}
}

func (c *canvas) Rotate(a float64) {
	sin, cos := math.Sincos(a)
	c.transform([6]float64{cos, sin, -sin, cos, 0, 0})
}
func (c *canvas) Translate(p vg.Point) {
	c.transform([6]float64{1, 0, 0, 1, float64(p.X), float64(p.Y)})
}
func (c *canvas) Scale(x, y float64) { c.transform([6]float64{x, 0, 0, y, 0, 0}) }
func (c *canvas) Push()              { c.stack = append(c.stack, c.now) }
func (c *canvas) Pop()               { c.now, c.stack = c.stack[len(c.stack)-1], c.stack[:len(c.stack)-1] }
func (c *canvas) at(p vg.Point) string {
	x, y := c.point(p)
	return coordinate(x) + " " + coordinate(y)
}
func (c *canvas) point(p vg.Point) (x, y float64) {
	m := c.now.matrix
	return m[0]*float64(p.X) + m[2]*float64(p.Y) + m[4], m[1]*float64(p.X) + m[3]*float64(p.Y) + m[5]
}

// coordinate returns v with a precision of a tenth of a pixel.
func coordinate(v float64) string {
	v = math.Round(v*10) / 10
	if v == 0 {
		v = 0 // not -0
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// path returns the SVG path of p. Arcs must be whole circles.
func (c *canvas) path(p vg.Path) string {
	var b strings.Builder
	for _, part := range p {
		switch part.Type {
		case vg.MoveComp:
			b.WriteString("M" + c.at(part.Pos))
		case vg.LineComp:
			b.WriteString("L" + c.at(part.Pos))
		case vg.CloseComp:
			b.WriteString("Z")
		case vg.ArcComp:
			if math.Abs(part.Angle) < 2*math.Pi-1e-9 {
				c.err = errors.Join(c.err, errors.New("a plot has an arc that is no circle"))
			}
			r := coordinate(float64(part.Radius))
			left, right := part.Pos, part.Pos
			left.X -= part.Radius
			right.X += part.Radius
			fmt.Fprintf(&b, "M%sA%s %s 0 1 0 %sA%s %s 0 1 0 %s", c.at(left), r, r, c.at(right), r, r, c.at(left))
		default:
			c.err = errors.Join(c.err, fmt.Errorf("a plot has a part of a path that cannot be drawn: %d", part.Type))
		}
	}
	return b.String()
}

func (c *canvas) Stroke(p vg.Path) {
	if c.now.line <= 0 {
		return
	}
	fmt.Fprintf(&c.out, `<path class="s-%s" d="%s"`, c.now.color, c.path(p))
	if c.now.line != 1 {
		fmt.Fprintf(&c.out, ` stroke-width="%s"`, coordinate(float64(c.now.line)))
	}
	if len(c.now.dash) > 0 {
		var dashes []string
		for _, d := range c.now.dash {
			dashes = append(dashes, coordinate(float64(d)))
		}
		fmt.Fprintf(&c.out, ` stroke-dasharray="%s"`, strings.Join(dashes, " "))
	}
	c.out.WriteString("/>\n")
}

func (c *canvas) Fill(p vg.Path) {
	fmt.Fprintf(&c.out, "<path class=\"f-%s\" d=\"%s\"/>\n", c.now.color, c.path(p))
}

func (c *canvas) FillString(f font.Face, p vg.Point, text string) {
	x, y := c.point(p)
	fmt.Fprintf(&c.out, `<text class="f-%s" font-size="%s" x="%s" y="%s"`,
		c.now.color, coordinate(float64(f.Font.Size)), coordinate(x), coordinate(y))
	if angle := math.Atan2(c.now.matrix[1], c.now.matrix[0]) * 180 / math.Pi; math.Abs(angle) > 0.01 {
		fmt.Fprintf(&c.out, ` transform="rotate(%s %s %s)"`, coordinate(angle), coordinate(x), coordinate(y))
	}
	fmt.Fprintf(&c.out, ">%s</text>\n", html.EscapeString(clean(text)))
}

func (c *canvas) DrawImage(vg.Rectangle, image.Image) {
	c.err = errors.Join(c.err, errors.New("a plot has an image, which is not drawn"))
}

// style defines the colours of the inks. Colour-blind readers can distinguish the colours
// of the peers. All colours contrast with the ground, light or dark.
var style = func() string {
	inks := []struct {
		name        ink
		light, dark string
	}{
		{"ink", "#1f2328", "#e6edf3"},
		{"faint", "#59636e", "#9da7b3"},
		{"grid", "#d9dee3", "#30363d"},
		{"ground", "#ffffff", "#0d1117"},
		{peerInks[0], "#0072b2", "#58a6e8"},
		{peerInks[1], "#d55e00", "#ff8f45"},
		{peerInks[2], "#008f68", "#2cc79d"},
		{peerInks[3], "#b0508a", "#e69ac8"},
		{peerInks[4], "#a67c00", "#e8c33a"},
		{peerInks[5], "#2a8fc9", "#a5dcff"},
		{peerInks[6], "#7a4b1f", "#c9a07a"},
		{othersInk, "#767676", "#9a9a9a"},
	}
	var light, dark strings.Builder
	for _, i := range inks {
		fmt.Fprintf(&light, ".plot .f-%[1]s{fill:%[2]s}.plot .s-%[1]s{fill:none;stroke:%[2]s}", i.name, i.light)
		fmt.Fprintf(&dark, ".plot .f-%[1]s{fill:%[2]s}.plot .s-%[1]s{stroke:%[2]s}", i.name, i.dark)
	}
	return light.String() + "@media(prefers-color-scheme:dark){" + dark.String() + "}"
}()

// peerInks are the colours of the peers with Full. othersInk is the colour of the others.
var peerInks = []ink{"p0", "p1", "p2", "p3", "p4", "p5", "p6"}

const othersInk ink = "others"

// svg returns the drawing, with a title and a description for screen readers. The drawing
// has its own ground, because the page around it may be dark while the system is light.
func (c *canvas) svg(name, title, description string) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	var b bytes.Buffer
	w, h := coordinate(float64(c.width)), coordinate(float64(c.height))
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="plot" width="%s" height="%s" viewBox="0 0 %s %s" role="img" aria-labelledby="%s-title %s-desc" font-family="'Liberation Sans',Arial,Helvetica,sans-serif">`,
		w, h, w, h, name, name)
	fmt.Fprintf(&b, "\n<title id=\"%s-title\">%s</title>\n<desc id=\"%s-desc\">%s</desc>\n", name, html.EscapeString(clean(title)), name, html.EscapeString(clean(description)))
	fmt.Fprintf(&b, "<style>%s</style>\n<rect class=\"f-ground\" width=\"%s\" height=\"%s\"/>\n", style, w, h)
	b.Write(c.out.Bytes())
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}
