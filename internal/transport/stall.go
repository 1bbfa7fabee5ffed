package transport

import (
	"fmt"
	"net"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/socket"
)

// beginStall records that a write is about to wait, and sets its deadline.
func (o *output) beginStall() {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalledSince.Store(c.now())
	c.armWrite(c.writeLimit(true))
	if _, ok := c.base.(*net.TCPConn); !ok || !socket.HaveQueue || c.opts.WriteTimeout <= 0 {
		return
	}
	o.queued = -1
	first := min(noticeable, c.opts.WriteTimeout/stallChecks)
	if o.stallTimer == nil {
		o.stallTimer = time.AfterFunc(first, o.checkStall)
	} else {
		o.stallTimer.Reset(first)
	}
}

// endStall records that no write waits, and restores the deadline.
func (o *output) endStall() {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.stallTimer != nil {
		o.stallTimer.Stop()
	}
	c.stalledSince.Store(0)
	c.armWrite(c.writeLimit(false))
}

// checkStall extends the deadline of a write while the peer acknowledges bytes. The
// kernel reports a socket as writable only when a third of its buffer is free. On a slow
// path that takes longer than a reasonable write timeout.
func (o *output) checkStall() {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalledSince.Load() == 0 {
		return
	}
	n := socket.NotAcked(c.base)
	if o.queued >= 0 && n != o.queued {
		c.armWrite(c.writeLimit(true))
	}
	o.queued = n
	o.stallTimer.Reset(c.opts.WriteTimeout / stallChecks)
}

const (
	// stallChecks is how often checkStall runs within the write timeout.
	stallChecks = 4
	// noticeable is the shortest wait of a write that counts as a stall.
	noticeable = 20 * time.Millisecond
)

// writeLimit returns the write deadline: closeBy, or an earlier end of the write timeout
// if a write is about to wait. c.mu is held.
func (c *Conn) writeLimit(wait bool) time.Time {
	limit := c.closeBy
	if wait && c.opts.WriteTimeout > 0 {
		if end := time.Now().Add(c.opts.WriteTimeout); limit.IsZero() || end.Before(limit) {
			limit = end
		}
	}
	if c.closed {
		limit = longAgo
	}
	return limit
}

// stallError returns the ending of a write that made no progress.
func (c *Conn) stallError() *ending.Error {
	return &ending.Error{Kind: ending.WriteStalled, Cause: fmt.Errorf("%d bytes could not be written", c.out.unsent.Load())}
}
