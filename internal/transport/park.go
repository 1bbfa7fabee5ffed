package transport

import (
	"errors"
	"syscall"
)

// CanPark reports whether c can be parked: whether the socket's readiness is known.
func (c *Conn) CanPark() bool { return c.raw != nil }

// Raw returns the socket, which another poller may watch while c is parked.
func (c *Conn) Raw() syscall.RawConn { return c.raw }

// Park handles received pings and pongs, and reports whether c is ready to be parked. It
// is not ready if there is other input, a part of a message or the end of the stream. It
// is not ready either if a close of this side has begun. It does not wait for input. While
// c is parked no goroutine reads, and ReadingSince returns since when nothing was
// received. With a later time, the heartbeat would not count the first missed pong.
func (c *Conn) Park() bool {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	since, received := c.waiting.Load(), c.received.Load()
	if err := in.get(noWait); err != errIdle || in.Inside() || len(in.incompleteFrame) > 0 {
		return false
	}
	if x := c.ext; x != nil {
		x.out.park()
	}
	if since == 0 || c.received.Load() != received {
		since = c.now()
	}
	c.waiting.Store(since)
	return true
}

// errIdle is a wait for a message that was long enough.
var errIdle = errors.New("transport: no message has come for a while")
