package transport

import (
	"fmt"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/socket"
)

// A stall bounds the writes of one frame, or batch of frames, that wait for the peer. In
// each window of the write timeout they must make the progress that MinWriteRate demands,
// or end. With enough progress the next window begins. Only the time in which a write waits
// counts. Conn.mu guards all fields.
type stall struct {
	timer   *time.Timer   // calls checkStall while a write waits; nil: none has waited
	began   time.Duration // when the window began, since Conn.openedAt
	base    int64         // the progress at that time
	since   int64         // when the write began to wait, as Conn.stalledSince
	count   int64         // waits of at least minStall that have ended
	checked bool          // checkStall has seen this write
	acks    bool          // progress is the number of acknowledged bytes

	// Only pings have waited, so there is no limit: a ping does not end the connection. The
	// window begins when checkStall sees that a frame or a pong waits behind them.
	onlyPings bool

	// Of the window before this write; 0 for the first write of a frame.
	waited time.Duration
	moved  int64
}

// beginStall records that a write is about to wait, and starts its timer.
func (o *output) beginStall() {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.stall == nil {
		o.stall = new(stall)
	}
	s := o.stall
	s.since = c.now()
	c.stalledSince.Store(s.since)
	if c.opts.WriteTimeout <= 0 {
		return
	}
	s.checked, s.acks, s.onlyPings = false, false, o.onlyPings
	s.began, s.base = time.Since(c.openedAt)-s.waited, o.accepted()-s.moved
	first := min(minStall, c.opts.WriteTimeout/stallChecks)
	if s.timer == nil {
		s.timer = time.AfterFunc(first, o.checkStall)
	} else {
		s.timer.Reset(first)
	}
}

// endStall records that no write waits, and restores the deadline.
func (o *output) endStall() {
	c, s := o.c, o.stall
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		if s.checked {
			s.waited, s.moved = time.Since(c.openedAt)-s.began, o.progress()-s.base
		}
	}
	if c.now()-s.since >= int64(minStall) {
		s.count++
	}
	c.stalledSince.Store(0)
	c.armWrite(c.writeLimit())
}

// checkStall makes a write fail that has not made enough progress within the write
// timeout.
func (o *output) checkStall() {
	c, s := o.c, o.stall
	others := o.writers.Load() > 0 || o.pending.hasPongs()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalledSince.Load() == 0 {
		return
	}
	now := time.Since(c.openedAt)
	if !s.checked {
		s.checked = true
		// A write that ends before the first check does not pay for a system call.
		if s.acks = socket.Acked(c.base) >= 0; s.acks {
			s.began, s.base = now-s.waited, o.progress()-s.moved
		}
	}
	if s.onlyPings {
		s.onlyPings = !others
		s.began, s.base = now, o.progress()
	}
	if !o.extend(now) {
		c.armWrite(longAgo)
		return
	}
	s.timer.Reset(min(c.opts.WriteTimeout/stallChecks, s.began+c.opts.WriteTimeout-now))
}

// extend begins the next window if there is enough progress. It returns false if there is
// not, and the window is over. c.mu is held.
func (o *output) extend(now time.Duration) bool {
	c, s := o.c, o.stall
	need := max(1, int64(float64(c.opts.MinWriteRate)*c.opts.WriteTimeout.Seconds()))
	if p := o.progress(); p-s.base >= need {
		s.began, s.base = now, p
	}
	return now-s.began < c.opts.WriteTimeout
}

// resumeStall is extend after a deadline that a part of a write has met. It restores the
// deadline.
func (o *output) resumeStall() bool {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := c.writeLimit()
	if c.opts.WriteTimeout <= 0 || !limit.IsZero() && !time.Now().Before(limit) || !o.extend(time.Since(c.openedAt)) {
		return false
	}
	c.armWrite(limit)
	o.stall.timer.Reset(c.opts.WriteTimeout / stallChecks)
	return true
}

// progress returns a number that grows by one for each byte that the peer acknowledges. If
// acknowledgements are not known, it counts bytes that the kernel accepts. The kernel
// reports a full socket as writable only when a third of its buffer is free. On a slow
// path that may be later than a reasonable write timeout.
func (o *output) progress() int64 {
	if o.stall.acks {
		return socket.Acked(o.c.base)
	}
	return o.accepted()
}

// accepted returns a number that grows by one for each byte of the write that the kernel
// accepts.
func (o *output) accepted() int64 { return -o.unsent.Load() }

const (
	// stallChecks is how often checkStall runs within the write timeout.
	stallChecks = 4
	// minStall is the shortest wait of a write that counts as a stall.
	minStall = 20 * time.Millisecond
)

// writeLimit returns the write deadline. c.mu is held.
func (c *Conn) writeLimit() time.Time {
	switch {
	case c.raw == nil && c.lastFrame != nil:
		return c.lastFrame.by
	case c.closed:
		return longAgo
	}
	limit := c.closeLimit()
	if !c.writeBy.IsZero() && (limit.IsZero() || c.writeBy.Before(limit)) {
		return c.writeBy
	}
	return limit
}

// stallError returns the ending of a write that made too little progress.
func (c *Conn) stallError() *ending.Error {
	return &ending.Error{Kind: ending.WriteStalled, Cause: fmt.Errorf("%d bytes could not be written", c.out.unsent.Load())}
}
