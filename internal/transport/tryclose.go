package transport

import (
	"bytes"
	"net"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
)

// TryClose sends a close frame if the socket accepts all of it at once, and reports
// whether it did. Buffered replies are sent with it. The reason has at most 123 bytes.
//
// TryClose does not wait for the peer. Under TLS, and on other sockets without system
// calls of their own, the write may wait for the peer for 20 milliseconds. Nothing can be
// written after a frame that was sent, or of which only a part was sent.
//
// While another frame is in progress, the close frame becomes pending, and TryClose returns
// false: see pendingClose. It does not become pending if a write has waited for the peer
// for 20 milliseconds.
func (c *Conn) TryClose(code websocket.StatusCode, reason string) bool {
	o := &c.out
	f := frame.EncodeClose(code, reason)
	// TryLock: if it fails, the frame becomes pending. flushPending shows that a pending
	// frame is sent.
	if o.mu.TryLock() {
		if o.err != nil || o.AtBoundary() {
			defer o.unlock()
			return o.sendClose(f)
		}
		o.mu.Unlock()
	}
	if !c.Writing() && c.setPendingClose(f) {
		o.hasPending.Store(true)
		o.flushPending()
	}
	return false
}

// sendClose sends the buffer and the close frame f if the socket accepts all of it at
// once. It reports whether it did. No frame is in progress. o.mu is held.
func (o *output) sendClose(f []byte) bool {
	if o.err != nil || o.Closing {
		return false
	}
	p := f
	if o.n > 0 {
		p = append(bytes.Clone(o.buf.b[:o.n]), f...)
	}
	n, err := o.trySend(p)
	switch {
	case err == nil && n == len(p):
		o.Track(f)
		o.n = 0
		o.flush()
		o.err = net.ErrClosed
		return true
	case err != nil:
		o.err = err
	case n > 0:
		o.err = net.ErrClosed
	}
	return false
}

// trySend writes the bytes of p that the socket accepts at once. It is no error if a raw
// socket accepts none, because p can be written later. o.mu is held.
func (o *output) trySend(p []byte) (n int, err error) {
	c := o.c
	c.mu.Lock()
	if c.writesEnded() {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	if c.raw == nil {
		c.armWrite(c.tryLimit())
	}
	c.mu.Unlock()

	if c.raw == nil {
		o.insideTLSRecord.Store(true)
		n, err = c.sock.Write(p)
		o.insideTLSRecord.Store(err != nil)
		c.mu.Lock()
		c.armWrite(c.writeLimit())
		c.mu.Unlock()
		return n, err
	}
	errControl := c.raw.Control(func(fd uintptr) { n, err = socket.Write(fd, p) })
	switch {
	case errControl != nil:
		return 0, errControl
	case err == socket.ErrAgain:
		return 0, nil
	case err != nil:
		return 0, err
	}
	return n, nil
}

// tryLimit returns the deadline of a write that must not wait for the peer. It is 20
// milliseconds from now. If the kernel's send queue is almost empty, the kernel accepts the
// bytes at once, and only a busy machine delays the write. It has 200 milliseconds then.
// c.mu is held.
func (c *Conn) tryLimit() time.Time {
	limit := minStall
	if n := socket.NotAcked(c.base); n >= 0 && n <= almostEmpty {
		limit = 10 * minStall
	}
	by := time.Now().Add(limit)
	if l := c.writeLimit(); !l.IsZero() && l.Before(by) {
		return l
	}
	return by
}

const almostEmpty = 4 << 10 // bytes, much less than any kernel's buffer
