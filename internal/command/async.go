package command

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// lines are written in the order in which they come, each in one write. Whoever reads
// them may be slow, and who has a line waits for a while; it may also have stopped, and
// then they go on and lines are lost. How many is said where they would have been.
type lines struct {
	w     io.Writer
	said  func(lost int64) string // the line that says so
	queue chan string
	stuck atomic.Bool   // the reader took nothing for linesWait, and nothing since
	lost  atomic.Int64  // lines that were not taken, since that was last said
	quit  chan struct{} // no more lines will come
	done  chan struct{} // run has returned
}

const (
	// linesAhead is how many lines may be ahead of the reader.
	linesAhead = 1000
	// linesWait is how long somebody waits for it, once.
	linesWait = time.Second
)

func newLines(w io.Writer, said func(lost int64) string) *lines {
	l := &lines{w: w, said: said, queue: make(chan string, linesAhead), quit: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

// run writes, in a goroutine of its own: what w takes nothing of cannot be
// stopped.
func (l *lines) run() {
	defer close(l.done)
	for {
		select {
		case line := <-l.queue:
			l.write(line)
			continue
		default:
		}
		select {
		case line := <-l.queue:
			l.write(line)
		case <-l.quit:
			if l.lost.Load() > 0 {
				l.write("")
			}
			return
		}
	}
}

func (l *lines) write(line string) {
	if n := l.lost.Swap(0); n > 0 {
		line = l.said(n) + line
	}
	_, _ = io.WriteString(l.w, line) // there is nobody to tell
	l.stuck.Store(false)
}

// end waits until all is written, or as long as anybody would.
func (l *lines) end() {
	close(l.quit)
	t := time.NewTimer(linesWait)
	defer t.Stop()
	select {
	case <-l.done:
	case <-t.C:
	}
}

// add hands a line on, or counts it as lost.
func (l *lines) add(line string) {
	select {
	case l.queue <- line:
		return
	default:
	}
	if !l.stuck.Load() {
		t := time.NewTimer(linesWait)
		defer t.Stop()
		select {
		case l.queue <- line:
			return
		case <-t.C:
			l.stuck.Store(true)
		}
	}
	l.lost.Add(1)
}

// A lineHandler makes a line of a record, with a handler of its own. One handler for
// all holds a lock while it writes, and each would wait for those before it.
type lineHandler struct {
	*lines
	on func(io.Writer) slog.Handler
}

func (h lineHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.on(io.Discard).Enabled(ctx, level)
}

func (h lineHandler) Handle(ctx context.Context, r slog.Record) error {
	var b strings.Builder
	if err := h.on(&b).Handle(ctx, r); err != nil {
		return err
	}
	h.add(b.String())
	return nil
}

func (h lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lineHandler{h.lines, func(w io.Writer) slog.Handler { return h.on(w).WithAttrs(attrs) }}
}

func (h lineHandler) WithGroup(name string) slog.Handler {
	return lineHandler{h.lines, func(w io.Writer) slog.Handler { return h.on(w).WithGroup(name) }}
}
