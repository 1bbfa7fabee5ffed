package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"example.com/wsecho/internal/number"
	"example.com/wsecho/load"
)

// A progress shows the progress of wsecho bench, as a bar on a terminal and as lines
// elsewhere. There is a line for each server in each round, and one every lineInterval.
type progress struct {
	w        io.Writer
	terminal bool
	drawn    bool      // a bar is on the terminal
	lastLine time.Time // when the last line was printed
}

// lineInterval is the time between two lines about one server. The first line is printed
// after a second.
const lineInterval = 10 * time.Second

func newProgress(w io.Writer) *progress {
	return &progress{w: w, terminal: isTerminal(w), lastLine: time.Now().Add(time.Second - lineInterval)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// show is the Progress of a load.Plan.
func (p *progress) show(now load.Progress) {
	text := fmt.Sprintf("round %d of %d  %s  %s messages/s  p99 %s", now.Round, now.Rounds, now.URL, number.Digits(now.Rate), number.Duration(float64(now.P99)))
	if now.Failures > 0 {
		text += fmt.Sprintf("  %d FAILED", now.Failures)
	}
	switch {
	case p.terminal:
		const cells, width = 20, 79
		full := int(now.Done * cells)
		line := []rune(strings.Repeat("█", full) + strings.Repeat("░", cells-full) + " " + text)
		fmt.Fprintf(p.w, "\r\x1b[K%s", string(line[:min(len(line), width)]))
		p.drawn = true
	case now.RoundOver || time.Since(p.lastLine) > lineInterval:
		fmt.Fprintln(p.w, text)
		p.lastLine = time.Now()
	}
}

// clear removes the bar.
func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
