package command

import (
	"io"
	"sync/atomic"
	"time"
)

// An asyncWriter writes lines to a writer whose reader may be slow or may have
// stopped. It keeps the order of the lines and writes each in one call. If the queue
// is full, writeLine blocks for at most maxWait. After that, lines are dropped until
// the reader goes on. A notice with the number of dropped lines takes their place.
type asyncWriter struct {
	w             io.Writer
	droppedNotice func(lines int64) string
	queue         chan string
	stalled       atomic.Bool   // a caller has waited for maxWait, and nothing was written since
	dropped       atomic.Int64  // since the last notice
	closing       chan struct{} // closed by close
	done          chan struct{} // closed when run has returned
}

const (
	// maxQueued is the number of lines that may wait for the reader.
	maxQueued = 1000
	// maxWait is the longest that a caller waits for the reader.
	maxWait = time.Second
)

// newAsyncWriter returns a writer that its close must end.
func newAsyncWriter(w io.Writer, droppedNotice func(lines int64) string) *asyncWriter {
	a := &asyncWriter{w: w, droppedNotice: droppedNotice, queue: make(chan string, maxQueued), closing: make(chan struct{}), done: make(chan struct{})}
	go a.run()
	return a
}

// run writes the queued lines until close. A goroutine of its own calls it, since a
// Write that blocks cannot be interrupted.
func (a *asyncWriter) run() {
	defer close(a.done)
	for {
		select {
		case line := <-a.queue:
			a.write(line)
			continue
		default:
		}
		select {
		case line := <-a.queue:
			a.write(line)
		case <-a.closing:
			if a.dropped.Load() > 0 {
				a.write("")
			}
			return
		}
	}
}

func (a *asyncWriter) write(line string) {
	if n := a.dropped.Swap(0); n > 0 {
		line = a.droppedNotice(n) + line
	}
	_, _ = io.WriteString(a.w, line) // an error has no other place to be reported
	a.stalled.Store(false)
}

// close waits until all lines are written, at most maxWait. No writeLine may follow.
func (a *asyncWriter) close() {
	close(a.closing)
	t := time.NewTimer(maxWait)
	defer t.Stop()
	select {
	case <-a.done:
	case <-t.C:
	}
}

// writeLine queues a line, or drops it and counts it. It blocks for at most maxWait.
func (a *asyncWriter) writeLine(line string) {
	select {
	case a.queue <- line:
		return
	default:
	}
	if !a.stalled.Load() {
		t := time.NewTimer(maxWait)
		defer t.Stop()
		select {
		case a.queue <- line:
			return
		case <-t.C:
			a.stalled.Store(true)
		}
	}
	a.dropped.Add(1)
}
