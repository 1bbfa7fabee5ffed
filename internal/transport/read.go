package transport

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.com/wsecho/internal/frame"
)

// input is the reading half: bytes from the socket, scanned, on their way to
// coder. While it waits for the peer it holds no buffer: of a header or control
// frame that has come in part, at most 139 bytes, it keeps a copy.
type input struct {
	c  *Conn
	mu sync.Mutex // held by a Read: Hangup must not take the buffer from under it
	frame.Scanner

	buf   *block // nil while there is nothing in it
	r     int    // buf.b[r:ready] may be handed on: it is of one frame
	ready int    // buf.b[ready:w] is still to be scanned
	w     int
	more  atomic.Bool // there is some of that: more input is in hand

	part   []byte        // of a frame, while waiting; on the plain path also what is read into
	full   bool          // plain path: the last read filled what it was given
	waited time.Duration // for the message in progress
	turns  int           // frames since the last wait

	allowance allowance // of pings and pongs

	err error // why reading is over; what was scanned before is handed on first

	server readyServer

	some  func(uintptr) bool // readSome, made once
	poll  bool               // readSome is not to wait
	n     int                // what it read
	errno error
}

func (in *input) init(c *Conn) {
	in.c = c
	in.Limit, in.Deflate = c.opts.ReadLimit, c.ext != nil
	in.some, in.server.some = in.readSome, in.serveSome
}

// begin takes bytes that somebody else has read.
func (in *input) begin(first []byte) {
	b := in.c.opts.Read.get()
	if headroom+len(first) > len(b.b) {
		b = &block{make([]byte, headroom+len(first))}
	}
	in.buf, in.r, in.ready = b, headroom, headroom
	in.w = headroom + copy(b.b[headroom:], first)
}

// Read gives coder the next frame, or what there is of it, and waits for more
// where there is nothing. Once it has returned an error it always returns it.
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

// Wait returns when a Read would not wait. A goroutine that waits here does not
// have coder's frames on its stack, which is what an idle connection is made of.
// It is for the time between two messages. It returns early when CloseBy is
// called: a close handshake reads too, and coder decides who does. With
// Options.ServeReady it does not wait for a message to begin, nor inside ServeReady for
// one to end: it reports that there is none.
//
// The size is that of the message that begins, where all of it is in hand and is as it
// was sent; else it is -1.
func (c *Conn) Wait() (size int64, idle bool) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if x := c.ext; x != nil && x.in.ready() {
		return -1, false
	}
	switch err := in.get(forMessage); { // Read says it again
	case err == errIdle, in.server.running && in.Inside():
		return -1, true
	case err != nil, in.Inside(), c.ext != nil:
		return -1, false
	}
	return in.Size, false
}

// Whole returns the size of the message that coder is reading, if all of it has
// come and none of it is left here; else, and where somebody else is reading, -1.
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

// Announced returns the length of the message that coder is reading, or -1 if it is not
// known: the header of its last frame has not been read, or it is compressed, or another
// goroutine is reading.
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

// get sees to it that there is something to hand on.
func (in *input) get(p patience) error {
	for in.r == in.ready {
		if in.err == nil && in.w > in.ready {
			if in.turns++; in.turns >= maxTurns {
				in.yield()
			}
			if in.advance() {
				continue
			}
		}
		if in.server.running && in.err == nil && p == forMessage {
			return errIdle
		}
		// Before the reader waits, and when it ends, what was held back leaves.
		// An error of that is no reason to end: why the peer is gone is there to
		// be read.
		in.more.Store(false)
		in.c.out.flush()
		if in.err != nil {
			return in.err
		}
		if in.turns >= maxTurns {
			in.turns = 0
			in.free()
			in.c.turn.Yield()
		}
		if err := in.fill(p); err != nil {
			if err == errEarly {
				err = nil
			}
			return err
		}
		in.turns += turnsOf(in.w - in.r) // with what resume has made ready
	}
	return nil
}

// maxTurns is how many frames one connection gets in a row. A buffer holds
// thousands of small ones, and the scheduler would let them all go first. What was
// read without a wait counts too, and so does what is inflated: 4 KiB as a frame.
const maxTurns = 64

func turnsOf(bytes int) int { return 1 + bytes>>12 }

// yield lets other connections have a turn, after what is held has left.
func (in *input) yield() {
	in.turns = 0
	in.more.Store(false)
	in.c.out.flush()
	in.c.turn.Yield()
}

// advance makes the next frame ready and reports whether it got on: false means
// that it takes more input.
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
	if keep > end { // the header alone: it is remembered, its bytes are done with
		in.r, in.ready = keep, keep
	}
	if more := in.w > in.ready; more != in.more.Load() { // as for held
		in.more.Store(more)
	}
	if op := in.Control; op != 0 { // coder does not see it
		in.Control = 0
		in.r = in.ready
		err := in.c.heed(op, in.Payload)
		in.Payload = nil
		if err != nil {
			in.fail(err)
			return true
		}
	}
	if in.CloseCode != 0 {
		in.publish() // nobody may read on
		if f := in.c.opts.OnClose; f != nil {
			f(in.CloseCode, in.CloseReason)
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
	in.c.count.messagesIn.Store(in.Messages)
	in.c.count.bytesIn.Store(in.Bytes)
}

// end gives the buffer back for good. What was read and not yet seen by others is
// published. If it is not to wait for a Read that is under way, it does nothing
// then.
func (in *input) end(wait bool) {
	if !in.mu.TryLock() {
		if !wait {
			return
		}
		in.mu.Lock()
	}
	defer in.mu.Unlock()
	in.publish()
	in.r, in.w = in.ready, in.ready // nobody will look at the rest
	in.free()
	in.part = nil
	if x := in.c.ext; x != nil {
		x.in.end()
	}
}
