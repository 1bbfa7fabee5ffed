package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"example.com/wsecho/ending"
)

// input is the reading half: bytes from the socket, scanned, on their way to
// coder. While it waits for the peer it holds no buffer: of a header or control
// frame that has come in part, at most 139 bytes, it keeps a copy.
type input struct {
	c  *Conn
	mu sync.Mutex // held by a Read: Hangup must not take the buffer from under it
	scanner

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

	spoke int64 // when a message, or a part of one, was last handed on; as Conn.heard

	some  func(uintptr) bool // readSome, made once
	peek  func(uintptr) bool // peekSome
	poll  bool               // readSome is not to wait
	n     int                // what it read
	errno error
}

// How long a get may wait.
type patience uint8

const (
	forInput   patience = iota
	forMessage          // no longer than until a close begins, or RestAfter
	atOnce              // not at all
)

func (in *input) init(c *Conn) {
	in.c = c
	in.limit, in.deflate = c.opts.ReadLimit, c.ext != nil
	in.some, in.peek = in.readSome, c.peekSome
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
// called: a close handshake reads too, and coder decides who does. It reports
// whether it has waited for RestAfter, and no message has come.
func (c *Conn) Wait() (idle bool) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if x := c.ext; x != nil && x.in.ready() {
		return false
	}
	err := in.get(forMessage) // Read says it again
	in.spoke = c.heard.Load()
	return err == errIdle
}

// Whole returns the size of the message that coder is reading, if all of it has
// come and none of it is left here; else, and where somebody else is reading, -1.
func (c *Conn) Whole() int64 {
	in := &c.in
	if !in.mu.TryLock() {
		return -1
	}
	defer in.mu.Unlock()
	if in.inside() || in.r != in.ready {
		return -1
	}
	if x := c.ext; x != nil && x.in.packed {
		if x.in.ready() {
			return -1
		}
		return x.in.size
	}
	return in.size
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
			runtime.Gosched()
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
// read without a wait counts too, and so does what is inflated: 2 KiB as a frame.
const maxTurns = 64

func turnsOf(bytes int) int { return 1 + bytes>>11 }

// yield lets other connections have a turn, after what is held has left.
func (in *input) yield() {
	in.turns = 0
	in.more.Store(false)
	in.c.out.flush()
	runtime.Gosched()
}

// advance makes the next frame ready and reports whether it got on: false means
// that it takes more input.
func (in *input) advance() bool {
	if in.closeCode != 0 { // RFC 6455, section 5.5.1: after a close frame nothing counts
		in.w = in.ready
		in.err = net.ErrClosed
		return true
	}
	b := in.buf.b[:in.w]
	at := in.ready
	end, keep, err := in.next(b, at)
	in.r, in.ready = at, end
	if err != nil {
		in.fail(err)
		return true
	}
	if keep > end { // the header alone: it is remembered, its bytes are done with
		in.r, in.ready = keep, keep
	}
	in.more.Store(in.w > in.ready)
	if op := in.control; op != 0 { // coder does not see it
		in.control = 0
		in.r = in.ready
		err := in.c.heed(op, in.payload)
		in.payload = nil
		if err != nil {
			in.fail(err)
			return true
		}
	}
	if in.closeCode != 0 {
		in.publish() // it may be that nobody reads on
	}
	if in.ready == at {
		return false
	}
	if !in.inside() {
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
	in.c.count.messagesIn.Store(in.messages)
	in.c.count.bytesIn.Store(in.bytes)
}

// fill waits for input. What was scanned has been handed on. Its own error is
// errEarly or errIdle; one of reading is in.err.
func (in *input) fill(p patience) error {
	c := in.c
	began := in.inside() || in.w > in.ready || len(in.part) > 0
	in.publish()
	if err := c.await(began, in.waited, p); err != nil {
		in.err = err
		return nil
	}
	if p != forInput && c.closing.Load() {
		return errEarly
	}
	in.poll = p == atOnce
	var start time.Time
	if began && c.opts.MessageTimeout > 0 {
		start = time.Now()
	}
	var err error
	if c.raw != nil {
		err = in.readRaw()
	} else {
		err = in.readPlain()
	}
	c.waiting.Store(0)
	if !start.IsZero() {
		in.waited += time.Since(start)
	}
	if err != nil {
		in.free()
		if err = c.readError(err, began); err == errEarly || err == errIdle {
			return err
		}
		in.err = err
		return nil
	}
	c.heard.Store(c.now())
	if in.rest > 0 { // the buffer was empty: there is headroom for a header
		in.r, in.ready = in.resume(in.buf.b, in.ready, in.w)
		in.more.Store(in.w > in.ready)
	}
	return nil
}

// await sets the deadline of a read that is about to wait, or says why it must
// not.
func (c *Conn) await(began bool, waited time.Duration, p patience) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	c.early = p != forInput
	limit := c.closeBy
	if p == forMessage && !began && c.opts.RestAfter > 0 && limit.IsZero() {
		limit = c.restBy()
	}
	if began && c.opts.MessageTimeout > 0 {
		end := time.Now().Add(c.opts.MessageTimeout - waited)
		if limit.IsZero() || end.Before(limit) {
			limit = end
		}
	}
	c.arm(limit)
	return nil
}

// errEarly is a wait that a close has ended.
var errEarly = errors.New("transport: a close has begun")

// readError is the truth about an error of the socket.
func (c *Conn) readError(err error, began bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.failed != nil:
		return c.failed
	case err == errIdle: // there is none now
		return err
	case c.early && c.closing.Load() && errors.Is(err, os.ErrDeadlineExceeded):
		return errEarly
	case err == io.EOF && c.told.Load() != nil:
		err = *c.told.Load()
	case !errors.Is(err, os.ErrDeadlineExceeded):
		err = ending.Stream(err)
	case !c.closeBy.IsZero() && !time.Now().Before(c.closeBy):
		err = net.ErrClosed // the time for goodbyes is over
	case !began && c.early && c.opts.RestAfter > 0:
		return errIdle
	case began:
		err = &ending.Error{Kind: ending.TooSlow, Reason: fmt.Sprintf("message took longer than %v", c.opts.MessageTimeout)}
	}
	c.failed = err
	return err
}

// lend gives buf a buffer, with what is kept of a frame at its start.
func (in *input) lend() {
	if in.buf == nil {
		in.buf = in.c.opts.Read.get()
		in.r, in.ready = headroom, headroom
		in.w = headroom + copy(in.buf.b[headroom:], in.part)
		in.part = in.part[:0]
	}
}

// free gives the buffer back. What is kept of a frame moves to part.
func (in *input) free() {
	if in.buf == nil {
		return
	}
	if in.w > in.ready {
		if in.part == nil {
			in.part = make([]byte, 0, partSize)
		}
		in.part = append(in.part, in.buf.b[in.ready:in.w]...)
	}
	if len(in.buf.b) == in.c.opts.Read.size {
		in.c.opts.Read.put(in.buf)
	}
	in.buf, in.r, in.ready, in.w = nil, 0, 0, 0
}

// partSize is room for the largest part of a frame that waits, and on the plain
// path for some input behind it.
const partSize = 256

// readRaw reads with the socket's own readiness: without input there is no
// buffer.
func (in *input) readRaw() error {
	in.free()
	in.n, in.errno = 0, nil
	if err := in.c.raw.Read(in.some); err != nil {
		return err
	}
	switch {
	case in.errno == errAgain:
		return errIdle
	case in.errno != nil:
		return os.NewSyscallError("read", in.errno)
	case in.n == 0:
		return io.EOF
	}
	in.w += in.n
	return nil
}

// readSome is what readRaw does when there may be input.
func (in *input) readSome(fd uintptr) bool {
	in.lend()
	in.n, in.errno = sysRead(fd, in.buf.b[in.w:])
	if in.errno == errAgain {
		if in.poll {
			return true
		}
		in.errno = nil
		in.turns = 0
		in.free()
		in.c.waiting.CompareAndSwap(0, in.c.now())
		return false
	}
	return true
}

// readPlain reads where readiness cannot be had: TLS, pipes, other systems. It
// waits with a small buffer of its own, and takes a large one when there is more.
func (in *input) readPlain() error {
	c := in.c
	in.free()
	c.waiting.Store(c.now())
	if in.full {
		in.lend()
		limit := c.hurry()
		n, err := c.sock.Read(in.buf.b[in.w:])
		in.w += n
		in.full = in.w == len(in.buf.b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !c.unhurry(limit) {
			return dropEarly(n, err)
		}
		in.free() // there was no more: what comes next is waited for without it
	}
	if in.part == nil {
		in.part = make([]byte, 0, partSize)
	}
	kept := len(in.part)
	n, err := c.sock.Read(in.part[kept:cap(in.part)])
	in.part = in.part[:kept+n]
	in.full = kept+n == cap(in.part)
	in.lend()
	return dropEarly(n, err)
}

// hurry lets the read that follows wait for a moment only, where it might wait
// for longer. It returns the deadline that there was.
func (c *Conn) hurry() (limit time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit = c.armed
	if soon := time.Now().Add(fullWait); limit.IsZero() || soon.Before(limit) {
		c.arm(soon)
	}
	return limit
}

// unhurry puts the deadline back after that, and reports whether it did: not so
// if it is over as well, or reading has failed.
func (c *Conn) unhurry(limit time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closeBy.IsZero() && (limit.IsZero() || c.closeBy.Before(limit)) {
		limit = c.closeBy
	}
	if c.failed != nil || !limit.IsZero() && !time.Now().Before(limit) {
		return false
	}
	c.arm(limit)
	return true
}

// fullWait is how long a large buffer is held for more of what filled a smaller
// one, and may be all there is.
const fullWait = 5 * time.Millisecond

// end gives the buffer back for good. What was read and not yet seen by others is
// published.
func (in *input) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.publish()
	in.free()
	if x := in.c.ext; x != nil {
		x.in.end()
	}
}

// discard reads off what the peer still sends, until limit, which is the socket's
// deadline, or the end. It waits without a buffer too: a server that ends has
// thousands of these. A peer that goes on and on is not listened to for so long.
func discard(sock net.Conn, p *Pool, limit time.Time) {
	raw := rawOf(sock)
	left := lingerBytes
	if raw == nil {
		for b := make([]byte, partSize); left > 0; {
			n, err := sock.Read(b)
			if err != nil {
				return
			}
			left -= n
		}
		return
	}
	over := false
	some := func(fd uintptr) bool {
		b := p.get()
		defer p.put(b)
		for range 4 { // then the clock is looked at, and others have a turn
			n, err := sysDrop(fd, b.b)
			if n <= 0 {
				over = err != errAgain
				return over
			}
			left -= n
		}
		return true
	}
	for !over && left > 0 && time.Now().Before(limit) {
		if raw.Read(some) != nil {
			return
		}
		runtime.Gosched()
	}
}

// dropEarly ignores an error that came with input: it comes again without.
func dropEarly(n int, err error) error {
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}
