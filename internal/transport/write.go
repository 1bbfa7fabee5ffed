package transport

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
)

// output is the writing half. coder writes a frame in pieces; they leave in one
// write when the frame is whole, or later with others where replies are held.
type output struct {
	c  *Conn
	mu sync.Mutex // guards all but the atomics

	frame.Follower
	buf *block // nil while there is nothing in it
	n   int
	err error // of a write; final

	ping      bool         // a ping is among what has not left
	held      atomic.Bool  // whole frames are kept back in buf
	closeSent bool         // a close frame has left
	torn      bool         // a write of the plain path has failed in the midst
	pending   atomic.Int64 // bytes that wait for the kernel

	owes atomic.Bool // there is something in owed
	owed owed

	rest []byte             // what writeSome still has to write
	some func(uintptr) bool // writeSome, made once
	werr error              // its error

	look   *time.Timer // calls watch while a write waits; nil until one has
	queued int         // in the kernel when that last looked, -1 not yet; under c.mu
}

func (o *output) init(c *Conn) {
	o.c = c
	o.some = o.writeSome
}

// Write takes a piece of a frame. It waits only while the kernel takes nothing.
func (c *Conn) Write(p []byte) (int, error) {
	o := &c.out
	o.mu.Lock()
	defer o.unlock()
	if o.err != nil {
		return 0, o.err
	}
	if x := c.ext; x != nil {
		o.pack(&x.out, p)
	} else {
		o.Follow(p)
		o.add(p)
	}
	if o.Whole() && !o.hold() {
		o.leave()
	}
	if o.err != nil {
		return 0, o.err
	}
	return len(p), nil
}

// add puts p into the buffer. When that is full it is sent.
func (o *output) add(p []byte) {
	for len(p) > 0 && o.err == nil {
		if o.buf == nil {
			o.buf = o.c.opts.Write.get()
		}
		n := copy(o.buf.b[o.n:], p)
		o.n += n
		p = p[n:]
		if len(p) == 0 {
			return
		}
		o.send(o.buf.b[:o.n])
		if len(p) >= len(o.buf.b) { // no use copying it
			o.send(p)
			return
		}
	}
}

// hold reports whether what is in the buffer waits for the reader to go on. The
// order of held and more matters: the reader sets more and then looks at held.
func (o *output) hold() bool {
	if !o.c.opts.Hold || o.Closing {
		return false
	}
	if !o.held.Load() { // a store costs more than this; it changes under o.mu only
		o.held.Store(true)
	}
	return o.c.in.more.Load()
}

// flush is the reader's: what is held leaves, with the beginning of a frame
// behind it whose rest may be long in coming.
func (o *output) flush() {
	if !o.held.Load() {
		return
	}
	o.mu.Lock()
	defer o.unlock()
	if o.err == nil {
		o.leave()
	}
}

// isTorn reports whether a record of TLS has not left whole, or may still not.
func (o *output) isTorn() bool {
	if !o.mu.TryLock() {
		return true
	}
	defer o.mu.Unlock()
	return o.torn
}

// end gives the buffer back for good, if it need not wait for a Write for that or
// is to.
func (o *output) end(wait bool) {
	if !o.mu.TryLock() {
		if !wait {
			return
		}
		o.mu.Lock()
	}
	defer o.mu.Unlock()
	o.free()
	if x := o.c.ext; x != nil {
		x.out.end()
	}
	if o.err == nil {
		o.err = net.ErrClosed
	}
}

// leave sends the buffer and gives it back.
func (o *output) leave() {
	o.held.Store(false)
	if o.n > 0 {
		o.send(o.buf.b[:o.n])
	}
	o.free()
	if o.err != nil {
		return
	}
	c := o.c
	c.count.messagesOut.Store(o.Messages)
	c.count.bytesOut.Store(o.Bytes)
	if o.ping {
		o.ping = false
		c.pinged.Store(c.now())
	}
	o.closeSent = o.Closing
}

func (o *output) free() {
	if o.buf != nil {
		o.c.opts.Write.put(o.buf)
		o.buf, o.n = nil, 0
	}
}

// send writes p to the socket, whole or with an error for good. It ends when the
// kernel has taken no byte for the write timeout.
func (o *output) send(p []byte) {
	if o.err != nil {
		return
	}
	c := o.c
	o.n = 0
	o.pending.Store(int64(len(p)))
	var err error
	if c.raw != nil {
		err = o.sendRaw(p)
	} else {
		err = o.sendPlain(p)
	}
	if err == nil {
		o.pending.Store(0)
		return
	}
	o.err = err
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		if errors.Is(err, syscall.ECONNRESET) {
			reset := err // a copy, so that err itself need not be on the heap
			c.pendingReset.Store(&reset)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		o.err = c.failed
		return
	}
	o.err = c.stalled()
	if c.closeBy.IsZero() {
		c.fail(o.err)
	}
}

// sendRaw writes by hand, so that a write that does not wait costs nothing more
// than itself, and progress is seen.
func (o *output) sendRaw(p []byte) error {
	c := o.c
	o.rest, o.werr = p, nil
	err := c.raw.Write(o.some)
	o.rest = nil
	if c.stuck.Load() != 0 {
		o.unstick()
	}
	if err == nil {
		err = o.werr
	}
	return err
}

func (o *output) writeSome(fd uintptr) bool {
	before := len(o.rest)
	for len(o.rest) > 0 {
		n, err := socket.Write(fd, o.rest)
		if n > 0 {
			o.rest = o.rest[n:]
			o.pending.Store(int64(len(o.rest)))
			continue
		}
		if err == socket.ErrAgain {
			if len(o.rest) < before || o.c.stuck.Load() == 0 {
				o.stick() // it was here that the kernel took bytes last
			}
			return false
		}
		o.werr = os.NewSyscallError("write", err)
		break
	}
	return true
}

// sendPlain writes where progress is seen only between writes: under TLS in
// whole records.
func (o *output) sendPlain(p []byte) error {
	c := o.c
	if c.isClosed() { // TLS would count a record that never leaves
		return net.ErrClosed
	}
	// TLS writes on its own account too: it must not meet an old deadline.
	defer o.unstick()
	for len(p) > 0 {
		o.stick()
		n, err := c.sock.Write(p[:min(len(p), plainPiece)])
		p = p[n:]
		o.pending.Store(int64(len(p)))
		if err != nil && !(n > 0 && errors.Is(err, os.ErrDeadlineExceeded)) {
			o.torn = true
			return err
		}
	}
	return nil
}

// plainPiece is the payload of the largest TLS record.
const plainPiece = 16 << 10
