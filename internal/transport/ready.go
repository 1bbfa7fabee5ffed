package transport

import (
	"cmp"
	"io"
	"os"
	"time"

	"example.com/wsecho/internal/socket"
)

// Readiness is the reason for which ServeReady has returned.
type Readiness uint8

const (
	// NeedRead: a reader has to read. A part of a message was received, reading has ended,
	// or a close of this side has begun.
	NeedRead Readiness = iota
	// Idle: no message was received for a while.
	Idle
	// Done: handle has returned false.
	Done
)

// ServeReady waits for messages. It calls handle whenever a message is buffered
// completely. handle reads messages until Wait reports that there is none, and returns
// whether to continue. So handle never waits for the peer to send. ServeReady returns Idle
// if no message was received for the time first, or for the time idle after a message. 0
// means never.
//
// All of this happens inside one call of RawConn.Read. A reader that leaves that call
// between a read and the next wait misses input in between. Outside that call, each wait
// would need an extra read. A close of the socket waits for the end of that call, so
// handle must call Abort instead. Other readers must use readPolling.
//
// One goroutine at a time may call it, and only if CanPark is true.
func (c *Conn) ServeReady(handle func() (again bool), first, idle time.Duration) Readiness {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	a := &in.server
	a.handle, a.handled, a.result = handle, false, NeedRead
	a.idle = int64(cmp.Or(idle, noTimeout))
	if len(in.incompleteFrame) > 0 { // a reader waits for the remaining frame, for a short time
		return NeedRead
	}
	for a.idleAt = c.now() + int64(cmp.Or(first, noTimeout)); c.waitUntil(a.idleAt); {
		err := c.raw.Read(a.onReadable)
		if err == nil {
			return a.result
		}
		if c.readError(err, false) != errIdle {
			break
		}
		if c.now() >= a.idleAt { // else it is time for the next read
			return Idle
		}
	}
	c.waiting.Store(0)
	return NeedRead
}

// noTimeout is longer than any connection lives.
const noTimeout = 100 * 365 * 24 * time.Hour

// readyServer is the state of ServeReady.
type readyServer struct {
	handle  func() bool
	running bool // handle is running, and no other goroutine may wait for the socket
	handled bool // handle has been called since the last wait
	result  Readiness

	// Times as Conn.received.
	idle     int64 // how long a wait for a message may be
	idleAt   int64 // when it has been so long
	until    int64 // when the wait ends, for that or to read the socket
	verified int64 // when a read last found nothing

	onReadable func(uintptr) bool // serveSome, made once
	reads      int                // for the tests
}

// serveSome is the callback of ServeReady, called when there may be input.
func (in *input) serveSome(fd uintptr) bool {
	c, a := in.c, &in.server
	since := c.waiting.Swap(0) // the wait continues if there is no input
	var now int64
	for short := false; ; {
		if !in.handleBuffered() {
			return true
		}
		in.hasInput.Store(false)
		c.out.flushBatch()
		if now = c.now(); short && in.canWait(now) {
			break
		}
		in.resetBuffer()
		in.acquireBuffer()
		a.reads++
		n, err := socket.Read(fd, in.buf.b[in.w:])
		if err == socket.ErrAgain {
			if now-a.verified < recentInput && a.until > now+verifyAfter && !c.waitUntil(now+verifyAfter) {
				return true
			}
			a.verified = now
			break
		}
		switch {
		case err != nil:
			err = os.NewSyscallError("read", err)
		case n == 0:
			err = io.EOF
		}
		if err != nil {
			in.releaseBuffer()
			in.err = c.readError(err, false)
			return true
		}
		in.w += n
		since = 0
		short = in.w < len(in.buf.b)
		in.workUnits += workUnitsOf(n)
		c.received.Store(c.now())
	}
	in.resetQuantum()
	in.releaseBuffer()
	in.publish()
	if a.handled {
		a.handled = false
		since = 0
		a.idleAt = now + a.idle
	}
	if c.closing() {
		return true
	}
	c.waiting.Store(cmp.Or(since, now))
	return false
}

// canWait reports whether a wait may follow a read that has not filled the buffer. It
// saves another read that finds nothing. The poller reports later bytes. It may not report
// an end of the stream that arrived with the bytes. So the next read of the socket, which
// finds the end, must be soon.
func (in *input) canWait(now int64) bool {
	return socket.ReadsAll && in.c.isTCP && in.server.until <= now+verifyAfter
}

// The socket of a connection that had input again within recentInput is read after
// verifyAfter. That saves nothing if few messages arrive meanwhile.
const (
	recentInput = int64(5 * time.Millisecond)
	verifyAfter = int64(50 * time.Millisecond)
)

// handleBuffered calls handle for the buffered messages. It reports whether nothing is
// buffered then.
func (in *input) handleBuffered() bool {
	a := &in.server
	for in.err == nil {
		switch {
		case in.r < in.ready:
			if in.Inside() {
				return false
			}
			a.handled = true
			if !in.call() {
				a.result = Done
				return false
			}
			in.updateTrust()
		case in.w == in.ready:
			return !in.Inside() // or it was only the header of a frame
		case !in.advance():
			return false
		}
		if in.workUnits++; in.workUnits >= maxWorkUnits {
			in.yield()
		}
	}
	return false
}

// call calls handle, which may read, as may other goroutines. So it releases in.mu.
func (in *input) call() (again bool) {
	a := &in.server
	a.running = true
	in.mu.Unlock()
	defer func() { // handle may call runtime.Goexit
		in.mu.Lock()
		a.running = false
	}()
	return a.handle()
}

// waitUntil sets the time when a wait ends. It returns false if there must be none:
// reading has failed or a close has begun.
func (c *Conn) waitUntil(t int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Err() != nil || c.closing() {
		return false
	}
	c.interruptible = true
	c.in.server.until = t
	c.arm(c.openedAt.Add(time.Duration(t)))
	return true
}

// readPolling reads while a handler runs in ServeReady. ServeReady has the right to wait
// for the socket, so this polls it. Only a closing handshake reads then, and CloseBy
// bounds it.
func (in *input) readPolling() error {
	for wait := time.Millisecond; ; wait = min(2*wait, maxPollPause) {
		var n int
		var errno error
		if err := in.c.raw.Control(func(fd uintptr) {
			in.acquireBuffer()
			n, errno = socket.Read(fd, in.buf.b[in.w:])
		}); err != nil {
			return err
		}
		if errno != socket.ErrAgain {
			in.n, in.errno = n, errno
			return nil
		}
		in.releaseBuffer()
		if in.c.deadlineOver() {
			return os.ErrDeadlineExceeded
		}
		in.c.waiting.CompareAndSwap(0, in.c.now())
		time.Sleep(wait)
	}
}

// maxPollPause is the longest pause between two such reads.
const maxPollPause = 10 * time.Millisecond

// deadlineOver reports whether the read deadline has passed.
func (c *Conn) deadlineOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.readDeadline.IsZero() && !time.Now().Before(c.readDeadline)
}
