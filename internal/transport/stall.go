package transport

import (
	"fmt"
	"net"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/socket"
)

// stick notes that a write is about to wait, and sets its deadline.
func (o *output) stick() {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck.Store(c.now())
	c.armWrite(c.writeLimit(true))
	if _, ok := c.base.(*net.TCPConn); !ok || !socket.HaveQueue || c.opts.WriteTimeout <= 0 {
		return
	}
	o.queued = -1
	first := min(passing, c.opts.WriteTimeout/watches)
	if o.look == nil {
		o.look = time.AfterFunc(first, o.watch)
	} else {
		o.look.Reset(first)
	}
}

// unstick notes that no write waits any more.
func (o *output) unstick() {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.look != nil {
		o.look.Stop()
	}
	c.stuck.Store(0)
	c.armWrite(c.writeLimit(false))
}

// watch puts off the deadline of a write while the peer takes what the kernel
// has. The kernel asks for more only when a third of its buffer is free, which on
// a slow path takes longer than any sensible write timeout.
func (o *output) watch() {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stuck.Load() == 0 {
		return
	}
	n := socket.NotAcked(c.base)
	if o.queued >= 0 && n != o.queued {
		c.armWrite(c.writeLimit(true))
	}
	o.queued = n
	o.look.Reset(c.opts.WriteTimeout / watches)
}

// watches is how often the kernel's queue is looked at within the write timeout,
// passing how long a write may take that is not called waiting.
const (
	watches = 4
	passing = 20 * time.Millisecond
)

// writeLimit is the write deadline: the write timeout from now, if a write is
// about to wait, and never beyond closeBy. c.mu is held.
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

// stalled is the error of a write that the kernel takes nothing of.
func (c *Conn) stalled() *ending.Error {
	return &ending.Error{Kind: ending.WriteStalled, Cause: fmt.Errorf("%d bytes could not be written", c.out.pending.Load())}
}
