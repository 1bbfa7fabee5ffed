package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"example.com/wsecho/load"
)

// A progress shows how far a bench is: as a bar that is drawn over and over on a
// terminal, and elsewhere in lines, one for each turn and one in a while besides.
type progress struct {
	w        io.Writer
	terminal bool
	drawn    bool      // there is a bar
	said     time.Time // the last line
}

// quietFor is how long a turn may last without a line where there is no terminal; the
// first comes sooner.
const quietFor = 10 * time.Second

func newProgress(w io.Writer) *progress {
	return &progress{w: w, terminal: isTerminal(w), said: time.Now().Add(time.Second - quietFor)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// show is for load.Plan.Progress.
func (p *progress) show(now load.Progress) {
	figures := fmt.Sprintf("round %d of %d  %s  %.0f messages/s  p99 %v", now.Round, now.Rounds, now.URL, now.Rate, short(now.P99))
	if now.Failures > 0 {
		figures += fmt.Sprintf("  %d FAILED", now.Failures)
	}
	switch {
	case p.terminal:
		const cells, most = 20, 79
		full := int(now.Done * cells)
		line := []rune(strings.Repeat("█", full) + strings.Repeat("░", cells-full) + " " + figures)
		fmt.Fprintf(p.w, "\r\x1b[K%s", string(line[:min(len(line), most)]))
		p.drawn = true
	case now.TurnOver || time.Since(p.said) > quietFor:
		fmt.Fprintln(p.w, figures)
		p.said = time.Now()
	}
}

// short is d in about three digits.
func short(d time.Duration) time.Duration {
	unit := time.Microsecond
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit)
}

// end takes the bar away.
func (p *progress) end() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
