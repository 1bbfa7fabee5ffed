package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A progress shows what is being done: a bar on a terminal, a line in a while
// elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	began    time.Time
	said     time.Time
}

func newProgress(f *os.File) *progress {
	info, err := f.Stat()
	return &progress{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb", began: time.Now()}
}

// quietFor is how long there may be no line.
const quietFor = 10 * time.Second

func (p *progress) say(what string, done float64) {
	took := time.Since(p.began).Round(time.Second)
	switch {
	case p.terminal:
		const cells = 20
		full := int(done * cells)
		fmt.Fprintf(p.w, "\r\x1b[K%s%s %v  %.60s", strings.Repeat("█", full), strings.Repeat("░", cells-full), took, what)
	case time.Since(p.said) > quietFor:
		fmt.Fprintf(p.w, "%3.0f %%  %v  %s\n", 100*done, took, what)
		p.said = time.Now()
	}
}

// end takes the bar away.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
