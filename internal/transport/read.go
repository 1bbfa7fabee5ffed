package transport

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.com/wsecho/internal/frame"
)

// input reads and scans bytes for coder. While it waits for the peer it has no buffer. It
// keeps a copy of an incomplete header or control frame, which has at most 139 bytes.
type input struct {
	c  *Conn
	mu sync.Mutex // held by a Read, so that Hangup does not release its buffer
	frame.Scanner

	buf      *block // nil: nothing is buffered
	r        int    // buf.b[r:ready] is scanned and belongs to one frame
	ready    int    // buf.b[ready:w] is not scanned yet
	w        int
	hasInput atomic.Bool // there is such input

	incompleteFrame []byte        // during a wait; readPlain also reads into it
	bufferFilled    bool          // readPlain's last read filled its buffer
	waited          time.Duration // for the message in progress
	workUnits       int           // work units since the last wait
	promptReads     int           // prompt reads in a row

	limiter controlLimiter // of pings and pongs

	err error // of all later reads; scanned input is returned first

	server readyServer

	onReadable func(uintptr) bool // readSome, made once
	poll       bool               // readSome must not wait
	n          int                // the result of readSome
	errno      error
}

func (in *input) init(c *Conn) {
	in.c = c
	in.Limit, in.Deflate = c.opts.ReadLimit, c.ext != nil
	in.onReadable, in.server.onReadable = in.readSome, in.serveSome
}

// begin makes first the beginning of the input.
func (in *input) begin(first []byte) {
	b := in.c.opts.Read.get()
	if headroom+len(first) > len(b.b) {
		b = &block{make([]byte, headroom+len(first))}
	}
	in.buf, in.r, in.ready = b, headroom, headroom
	in.w = headroom + copy(b.b[headroom:], first)
}

// Read returns the next frame or a part of it. It blocks if no input is there. After an
// error it always returns that error.
func (c *Conn) Read(p []byte) (int, error) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if x := c.ext; x != nil {
		return in.readInflated(&x.in, p)
	}
	if err := in.get(forInput); err != nil {
		return 0, err
	}
	n := copy(p, in.buf.b[in.r:in.ready])
	in.r += n
	return n, nil
}

// Wait blocks between two messages until a Read would not. A goroutine that waits here has
// no calls of coder on its stack. They would double the memory of an idle connection.
// CloseBy ends the wait, because a closing handshake reads too. With Options.ServeReady,
// Wait does not wait for a message to begin. Inside ServeReady it does not wait for one to
// end either. It then returns idle.
//
// The size is that of the message that begins, if all of it is buffered and it is not
// compressed. Otherwise it is -1.
func (c *Conn) Wait() (size int64, idle bool) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if x := c.ext; x != nil && x.in.ready() {
		return -1, false
	}
	switch err := in.get(forMessage); { // Read returns the error again
	case err == errIdle, in.server.running && in.Inside():
		return -1, true
	case err != nil, in.Inside(), c.ext != nil:
		return -1, false
	}
	return in.Size, false
}

// Whole returns the size of the message that coder is reading, if coder has all of it.
// Otherwise, and if another goroutine is reading, it returns -1.
//
// TryLock: the size saves the reader a call of coder's Read. After -1 the reader makes that
// call, which returns io.EOF or the next bytes.
func (c *Conn) Whole() int64 {
	in := &c.in
	if !in.mu.TryLock() {
		return -1
	}
	defer in.mu.Unlock()
	if in.Inside() || in.r != in.ready {
		return -1
	}
	if x := c.ext; x != nil && x.in.packed {
		if x.in.ready() {
			return -1
		}
		return x.in.size
	}
	return in.Size
}

// Announced returns the length of the message that coder is reading. It returns -1 if the
// last frame's header has not been read or the message is compressed. It also returns -1
// while another goroutine reads. The caller needs it as a hint only, so a failed TryLock
// is no error.
func (c *Conn) Announced() int64 {
	in := &c.in
	if !in.mu.TryLock() {
		return -1
	}
	defer in.mu.Unlock()
	if c.ext != nil && c.ext.in.packed {
		return -1
	}
	return in.Announced()
}

// get makes scanned input available, or returns an error.
func (in *input) get(p waitMode) error {
	for in.r == in.ready {
		if in.err == nil && in.w > in.ready {
			in.updateTrust()
			if in.workUnits++; in.workUnits >= maxWorkUnits {
				in.yield()
			}
			if in.advance() {
				continue
			}
		}
		if in.server.running && in.err == nil && p == forMessage {
			return errIdle
		}
		// Buffered replies leave before the reader waits and when it ends. An
		// error of that is no reason to end: the next read finds the cause.
		in.hasInput.Store(false)
		in.c.out.flushBatch()
		if in.err != nil {
			return in.err
		}
		if in.workUnits >= maxWorkUnits {
			in.workUnits = 0
			in.releaseBuffer()
			in.c.yielder.Yield()
		}
		if err := in.fill(p); err != nil {
			if err == errInterrupted {
				err = nil
			}
			return err
		}
		in.workUnits += workUnitsOf(in.w - in.r) // with what resume has made ready
	}
	return nil
}

// maxWorkUnits is how many frames of one connection are handled before it yields. A buffer
// contains thousands of small ones, and without a yield they would all be handled first.
// Input counts too: 4 KiB that were read without a wait are one frame. So do 4 KiB of the
// decompressor's output and inflateUnit of its input.
const maxWorkUnits = 64

func workUnitsOf(bytes int) int { return 1 + bytes>>12 }

// resetQuantum restarts the count of work units. The reader has waited for the peer, so
// that others could run.
func (in *input) resetQuantum() {
	in.workUnits = 0
	if x := in.c.ext; x != nil {
		x.out.work.Store(0)
	}
}

// yield flushes buffered replies and yields to other connections.
func (in *input) yield() {
	in.workUnits = 0
	in.hasInput.Store(false)
	in.c.out.flushBatch()
	in.c.yielder.Yield()
}

// advance makes the next frame ready. It returns false if it needs more input.
func (in *input) advance() bool {
	if in.CloseCode != 0 { // RFC 6455, section 5.5.1: after a close frame nothing counts
		in.w = in.ready
		in.err = net.ErrClosed
		return true
	}
	b := in.buf.b[:in.w]
	at := in.ready
	end, keep, err := in.Next(b, at)
	in.r, in.ready = at, end
	if err != nil {
		in.fail(err)
		return true
	}
	if keep > end { // only the header: the scanner keeps it, so its bytes are not needed
		in.r, in.ready = keep, keep
	}
	if more := in.w > in.ready; more != in.hasInput.Load() { // a store costs more than a load
		in.hasInput.Store(more)
	}
	if op := in.Control; op != 0 { // coder does not see it
		in.Control = 0
		in.r = in.ready
		err := in.c.handleControl(op, in.Payload)
		in.Payload = nil
		if err != nil {
			in.fail(err)
			return true
		}
	}
	if in.CloseCode != 0 {
		in.c.peerCloseRead.Store(true)
		in.publish() // no other goroutine may read on
		if f := in.c.opts.OnClose; f != nil && !f(in.CloseCode, in.CloseReason) {
			in.r = in.ready
		}
	}
	if in.ready == at {
		return false
	}
	if !in.Inside() {
		in.waited = 0
	}
	return true
}

// fail ends reading for a reason that was found in the input.
func (in *input) fail(err error) {
	in.r, in.w = in.ready, in.ready
	in.err = err
	in.publish()
	in.c.Fail(err)
}

// publish makes the counts visible to others, now and then.
func (in *input) publish() {
	in.c.countIn.publish(&in.Counts)
}

// end publishes the counts and releases the buffer. Nothing is read afterwards. If wait is
// false, it does nothing while a Read is in progress. It returns the end of the input that
// was read and not scanned.
func (in *input) end(wait bool) (last lastInput) {
	if !in.mu.TryLock() {
		if !wait {
			return nil
		}
		in.mu.Lock()
	}
	defer in.mu.Unlock()
	in.publish()
	last.add(in.incompleteFrame)
	if in.buf != nil {
		last.add(in.buf.b[in.ready:in.w])
	}
	in.r, in.w = in.ready, in.ready // the remaining input is discarded
	in.releaseBuffer()
	in.incompleteFrame = nil
	if x := in.c.ext; x != nil {
		x.in.end()
	}
	return last
}
