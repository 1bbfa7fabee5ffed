package transport

import (
	"sync"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
)

// This package handles pings and pongs, and coder does not see them. coder would answer
// each ping under a lock and with a timer. It would close a connection if the pong waits
// five seconds for another write. A connection that receives only pings and pongs would
// need the stack of coder's reader.

// handleControl handles a ping or pong from the peer. It returns the ending of a peer that
// sends too many. It does not wait for a write of another goroutine.
func (c *Conn) handleControl(op byte, payload []byte) *ending.Error {
	if !c.in.limiter.allow(c.now, c.pingsSent.Load()+c.in.Counts.Total().Messages) {
		return &ending.Error{Kind: ending.Flood, Reason: "too many pings or pongs"}
	}
	if op == frame.Pong {
		if f := c.opts.OnPong; f != nil {
			f(payload)
		}
		return nil
	}
	if f := c.opts.OnPing; f != nil {
		f()
	}
	if f := c.opts.Pong; f != nil {
		f(payload, func(p []byte) { c.out.sendControl(frame.Pong, p) })
		return nil
	}
	c.out.sendControl(frame.Pong, payload)
	return nil
}

// Ping sends a ping with a payload of at most 125 bytes. It does not wait for the peer. A
// ping that cannot be sent at once is sent later, and a newer one may replace it. PingSent
// returns when the kernel accepted it.
func (c *Conn) Ping(payload []byte) {
	c.pingsSent.Add(1)
	c.out.sendControl(frame.Ping, payload)
}

// pendingControl contains the control frames that are sent after the frame in progress:
// the newest ping, and the pongs. If those exceed maxPongs, only the newest one is kept,
// which RFC 6455, section 5.5.3, permits.
type pendingControl struct {
	mu          sync.Mutex
	ping, pongs []byte // encoded; nil: none
}

// maxPongs is the most bytes of pending pongs. The Flusher may write for a moment while
// the reader answers pings, and a peer may count the answers.
const maxPongs = 2 << 10

// sendControl sends a control frame, or makes it pending while a frame is in progress or
// another control frame is pending.
//
// TryLock: if it fails, the frame becomes pending. flushPending shows that a pending frame
// is sent.
func (o *output) sendControl(op byte, payload []byte) {
	f := frame.Encode(op, payload)
	if o.mu.TryLock() {
		if !o.hasPending.Load() && o.AtBoundary() && o.hasRoom(len(f), op == frame.Pong) {
			o.insert(f, op == frame.Pong)
			o.unlock()
			return
		}
		o.mu.Unlock()
	}
	w := &o.pending
	w.mu.Lock()
	switch {
	case op == frame.Ping:
		w.ping = f
	case len(w.pongs)+len(f) > maxPongs:
		w.pongs = f
	default:
		w.pongs = append(w.pongs, f...)
	}
	o.hasPending.Store(true)
	w.mu.Unlock()
	o.flushPending()
}

// hasPongs reports whether pongs are pending.
func (w *pendingControl) hasPongs() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pongs) > 0
}

// insert writes a ping, or pongs, between two frames. It does not wait for the peer,
// unless mayWait is true: see tryFlush. o.mu is held.
func (o *output) insert(f []byte, mayWait bool) {
	if len(f) == 0 || o.err != nil || o.Closing {
		return
	}
	isPing := f[0] == frame.Fin|frame.Ping
	o.pingBuffered = o.pingBuffered || isPing
	o.pongBuffered = o.pongBuffered || !isPing
	o.acquireBuffer()
	if len(f) > len(o.buf.b)-o.n { // a small buffer, or pongs that became pending after hasRoom
		o.buf = &block{append(o.buf.b[:o.n:o.n], make([]byte, len(f))...)}
	}
	o.n += copy(o.buf.b[o.n:], f)
	if isPing || !o.batch() { // the peer's answer to a ping is timed
		o.tryFlush(mayWait)
	}
}

// hasRoom tries to send the buffer, and reports whether n more bytes fit into it. For
// mayWait see tryFlush. o.mu is held.
func (o *output) hasRoom(n int, mayWait bool) bool {
	if o.fits(n) {
		return true
	}
	o.tryFlush(mayWait)
	return o.fits(n)
}

func (o *output) fits(n int) bool {
	return o.err != nil || o.n == 0 || len(o.buf.b)-o.n >= n
}

// tryFlush sends the bytes of the buffer that the socket accepts at once. flushLater sends
// the others. Over a transport without system calls of its own it is not known whether a
// write would wait. There mayWait decides. o.mu is held.
func (o *output) tryFlush(mayWait bool) {
	c := o.c
	if c.raw == nil {
		// A write of TLS that is given up makes the connection unusable. A small one
		// fits into an empty send queue.
		if mayWait || o.n <= smallWrite && socket.NotAcked(c.base) == 0 {
			o.flush()
		} else {
			o.flushLater()
		}
		return
	}
	n, err := o.trySend(o.buf.b[:o.n])
	switch {
	case err != nil:
		o.fail(err)
		o.flush() // releases the buffer
	case n == o.n:
		o.n = 0
		o.unsent.Store(0) // flushLater may have set it
		o.flush()
	default:
		o.n = copy(o.buf.b, o.buf.b[n:o.n])
		o.flushLater()
	}
}

// smallWrite is less than the size of any send queue.
const smallWrite = 2 << 10

// flushLater starts a goroutine that sends the buffer and then the pending frames, unless
// there is one. It waits for the peer within the write timeout, but without a limit if only
// pings wait: see stall.onlyPings. o.mu is held.
func (o *output) flushLater() {
	o.unsent.Store(int64(o.n))
	if o.flushing {
		return
	}
	o.flushing = true
	o.flusher.Go(func() {
		o.mu.Lock()
		o.flushing = false
		if o.err == nil {
			o.onlyPings = o.AtBoundary() && !o.batching() && !o.pongBuffered
			o.flush()
			o.onlyPings = false
		}
		o.unlock()
	})
}

// unlock unlocks o.mu and sends the control frames that became pending meanwhile.
func (o *output) unlock() {
	o.mu.Unlock()
	o.flushPending()
}

// flushPending sends the pending control frames, unless a frame is in progress. It does not
// wait for the peer: the heartbeat calls it too. Under TLS a close frame may need 20
// milliseconds, once, so the Flusher calls unlockNow.
//
// TryLock: hasPending is set before TryLock. If TryLock fails, another goroutine holds
// o.mu. It unlocks later and then loads hasPending, through unlock or in this loop. So it
// sees the pending frame and sends it. The goroutine of flushLater sends a frame for which
// there is no room. end does not load hasPending. Hangup calls it, after which nothing is sent.
// It calls awaitClose before.
func (o *output) flushPending() {
	for o.hasPending.Load() && o.mu.TryLock() {
		if !o.AtBoundary() && o.err == nil {
			o.mu.Unlock()
			return
		}
		o.flushClose() // then the others are dropped
		w := &o.pending
		w.mu.Lock()
		n := len(w.pongs) + len(w.ping)
		w.mu.Unlock()
		if !o.hasRoom(n, false) { // flushLater calls flushPending again
			o.mu.Unlock()
			return
		}
		w.mu.Lock()
		o.hasPending.Store(false)
		pongs, ping := w.pongs, w.ping
		w.pongs, w.ping = nil, nil
		w.mu.Unlock()
		o.flushClose() // TryClose may have set hasPending before it was cleared
		o.insert(pongs, false)
		o.insert(ping, false)
		o.mu.Unlock()
	}
}
