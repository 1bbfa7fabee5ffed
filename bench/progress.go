package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A progress shows the current step. On a terminal it is a bar. Elsewhere it is a line
// from time to time.
type progress struct {
	w        io.Writer
	terminal bool
	began    time.Time
	lastLine time.Time
}

func newProgress(f *os.File) *progress {
	info, err := f.Stat()
	return &progress{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb", began: time.Now()}
}

// lineInterval is the shortest time between two lines.
const lineInterval = 10 * time.Second

func (p *progress) say(what string, done float64) {
	took := time.Since(p.began).Round(time.Second)
	switch {
	case p.terminal:
		const cells = 20
		full := int(done * cells)
		fmt.Fprintf(p.w, "\r\x1b[K%s%s %v  %.60s", strings.Repeat("█", full), strings.Repeat("░", cells-full), took, what)
	case time.Since(p.lastLine) > lineInterval:
		fmt.Fprintf(p.w, "%3.0f %%  %v  %s\n", 100*done, took, what)
		p.lastLine = time.Now()
	}
}

// end removes the bar.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
