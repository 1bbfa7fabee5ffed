package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"example.com/wsecho/internal/number"
	"example.com/wsecho/probe"
)

// A plot is one line of bars on a terminal, one for each reply. The figures of the last
// reply follow. A missing reply is an x. The scale grows with the largest bar that is
// shown.
type plot struct {
	width int // of the terminal
	rtts  []time.Duration
	last  string
	drawn bool // the cursor is in its line
}

// lost marks a missing reply in plot.rtts.
const lost = -1

func newPlot(w io.Writer) *plot {
	p := &plot{width: 80}
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			p.width = width
		}
	}
	return p
}

// add returns the text that draws the plot anew, with a further event.
func (p *plot) add(e probe.Event) string {
	if e.Type == probe.Missing {
		p.rtts = append(p.rtts, lost)
		p.last = "none in time"
	} else {
		p.rtts = append(p.rtts, e.RTT)
		p.last = number.Duration(float64(e.RTT))
	}
	p.drawn = true
	bars := max(p.width-40, 10)
	p.rtts = p.rtts[max(0, len(p.rtts)-bars):]
	var most time.Duration
	for _, d := range p.rtts {
		most = max(most, d)
	}
	var b strings.Builder
	for _, d := range p.rtts {
		b.WriteString(bar(d, most))
	}
	return fmt.Sprintf("\r\x1b[K%s  %d: %s, max %s", b.String(), e.Seq, p.last, number.Duration(float64(most)))
}

// bar returns a block whose height is d in relation to the largest.
func bar(d, most time.Duration) string {
	blocks := []rune("▁▂▃▄▅▆▇█")
	if d == lost {
		return "x"
	}
	return string(blocks[min(int(float64(d)/float64(max(most, 1))*float64(len(blocks))), len(blocks)-1)])
}

// leave returns the text that begins a new line after the plot, if it was drawn.
func (p *plot) leave() string {
	if p == nil || !p.drawn {
		return ""
	}
	p.drawn = false
	return "\n"
}
