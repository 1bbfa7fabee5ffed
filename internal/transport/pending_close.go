package transport

import (
	"cmp"
	"net"
	"time"
)

// A pendingClose is a close frame that waits for the end of the frame in progress. The
// goroutine that completes that frame sends it, also after CloseBy and Close. This
// goroutine does not wait for the peer. If the socket does not accept the rest of the frame
// at once, no close frame is sent. Conn.mu guards the fields.
//
// The goroutine has 200 milliseconds, because a long message may be compressed to a frame for
// which the socket always has room. TLS cannot report whether a write would wait. So there
// the frame in progress and the close frame have 20 milliseconds.
type pendingClose struct {
	frame []byte
	by    time.Time     // the end of that time
	done  chan struct{} // closed when the frame was sent or cannot be sent
	over  bool          // that is so, or awaitClose has given the frame up
}

// setPendingClose makes f the pending close frame, unless coder has closed. The first one
// stays.
func (c *Conn) setPendingClose(f []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lastFrame != nil || c.closed {
		return false
	}
	by := time.Now().Add(minStall)
	if c.raw != nil {
		by = time.Now().Add(200 * time.Millisecond)
	}
	c.lastFrame = &pendingClose{frame: f, by: by, done: make(chan struct{})}
	if c.raw == nil && (c.writeDeadline.IsZero() || by.Before(c.writeDeadline)) {
		c.armWrite(by)
	}
	return true
}

// pendingClose returns the close frame that is pending, nil if there is none.
func (c *Conn) pendingClose() *pendingClose {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.lastFrame; p != nil && !p.over {
		return p
	}
	return nil
}

// flushClose sends the pending close frame, if there is one. No frame is in progress.
// Nothing is written afterwards. o.mu is held.
func (o *output) flushClose() {
	p := o.c.pendingClose()
	if p == nil {
		return
	}
	if !o.sendClose(p.frame) && !o.Closing {
		o.err = cmp.Or(o.err, net.ErrClosed)
	}
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	p.over = true
	close(p.done)
}

// completeFrame writes the remaining bytes of a write that has failed. It does so if a
// close frame is pending and the socket accepts all of them at once. After its deadline
// RawConn.Write fails even if it would not wait. o.mu is held.
func (o *output) completeFrame() bool {
	p := o.c.pendingClose()
	if p == nil || !time.Now().Before(p.by) {
		return false
	}
	n, err := o.trySend(o.remaining)
	return err == nil && n == len(o.remaining)
}

// awaitClose waits until no close frame is pending. If the frame in progress is not
// completed in time, it gives the close frame up. It then sends the batch before that
// frame.
func (c *Conn) awaitClose() {
	p := c.pendingClose()
	if p == nil {
		return
	}
	t := time.NewTimer(time.Until(p.by))
	defer t.Stop()
	select {
	case <-p.done:
		return
	case <-t.C:
	}
	c.mu.Lock()
	p.over = true
	p.by = time.Now().Add(minStall) // for the batch
	c.mu.Unlock()
	c.out.sendBatch()
}
