package command

import (
	"io"
	"sync/atomic"
	"time"
)

// An asyncWriter writes lines to a writer whose reader may be slow, may have stopped or
// may have exited. It keeps the order of the lines and writes each in one call. If the
// queue is full, writeLine blocks for at most maxWait. After that, lines are dropped until
// the reader goes on. A line whose write fails is dropped too. A notice with the number of
// dropped lines replaces them.
type asyncWriter struct {
	w             io.Writer
	droppedNotice func(lines int64) string
	queue         chan string
	stalled       atomic.Bool   // a caller has waited for maxWait, and nothing was written since
	dropped       atomic.Int64  // since the last notice
	lost          atomic.Int64  // dropped in all
	incomplete    bool          // the last write ended within a line; of run
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
		case <-a.closing:
			for len(a.queue) > 0 { // select chooses at random
				a.write(<-a.queue)
			}
			if a.dropped.Load() > 0 {
				a.write("")
			}
			return
		}
	}
}

// write writes a line, after the notice about the lines that were lost before it. The
// line is lost too if that fails. It is "" if only the notice is left.
func (a *asyncWriter) write(line string) {
	defer a.stalled.Store(false)
	if n := a.dropped.Load(); n > 0 {
		if !a.put(a.droppedNotice(n)) {
			if line != "" {
				a.drop()
			}
			return
		}
		a.dropped.Add(-n)
	}
	if line != "" && !a.put(line) {
		a.drop()
	}
}

// drop counts a line that is lost.
func (a *asyncWriter) drop() {
	a.dropped.Add(1)
	a.lost.Add(1)
}

// put writes a line and reports whether that succeeded. After an incomplete line, the
// next one begins a new line.
func (a *asyncWriter) put(line string) bool {
	if a.incomplete {
		line = "\n" + line
	}
	n, err := io.WriteString(a.w, line)
	if n > 0 {
		a.incomplete = line[n-1] != '\n'
	}
	return err == nil
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
	a.drop()
}
