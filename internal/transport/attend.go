package transport

import (
	"io"
	"os"
	"time"

	"example.com/wsecho/internal/socket"
)

// Attention is why an Attend has returned.
type Attention uint8

const (
	// Look: there is something that a reader has to see for itself: a message of
	// which there is more to come, the end of reading, or a close of ours that has
	// begun.
	Look Attention = iota
	// Idle: no message has come for a while.
	Idle
	// Over: handle has said so.
	Over
)

// Attend waits for messages. Whenever one is in hand whole it calls handle, which
// reads it, and those that are in hand behind it, until Wait says that there are no
// more. What handle returns is whether to go on. So it never waits for the peer to
// send.
//
// All of this is inside one call of RawConn.Read. Who leaves that between a read and
// the next wait is not told of what comes in between, so each wait would have to
// begin with a read that finds nothing. It follows that the socket must not be closed
// by handle, which is what Abort sees to, and is read by others as in readBeside.
//
// It is for one goroutine at a time, and only where CanRest says so.
func (c *Conn) Attend(handle func() (again bool)) Attention {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	a := &in.attention
	a.handle, a.handled, a.why = handle, false, Look
	if len(in.part) > 0 { // who reads waits for the rest of a frame, and not for long
		return Look
	}
	for a.restAt = c.now() + int64(c.opts.RestAfter); c.attendUntil(a.restAt); {
		err := c.raw.Read(a.some)
		c.waiting.Store(0)
		if err == nil {
			return a.why
		}
		if c.readError(err, false) != errIdle {
			break
		}
		if c.now() >= a.restAt { // else it was not so long, or the socket is to be looked at
			return Idle
		}
	}
	return Look
}

// attention is what an Attend needs.
type attention struct {
	handle  func() bool
	running bool // handle is, and nobody else may wait for the socket
	handled bool // it has been called since the last wait
	why     Attention

	// Times as Conn.heard.
	restAt   int64 // when a wait for a message is long enough
	until    int64 // when the wait ends, for that or to look at the socket
	verified int64 // when it was last seen that there was nothing to read

	some  func(uintptr) bool // attendSome, made once
	reads int                // for the tests
}

// attendSome is what Attend does when there may be input.
func (in *input) attendSome(fd uintptr) bool {
	c, a := in.c, &in.attention
	c.waiting.Store(0)
	var now int64
	for short := false; ; {
		if !in.deal() {
			return true
		}
		in.more.Store(false)
		c.out.flush()
		if now = c.now(); short && in.mayWait(now) {
			break
		}
		in.rewind()
		in.lend()
		a.reads++
		n, err := socket.Read(fd, in.buf.b[in.w:])
		if err == socket.ErrAgain {
			if now-a.verified < often && a.until > now+lookAfter && !c.attendUntil(now+lookAfter) {
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
			in.free()
			in.err = c.readError(err, false)
			return true
		}
		in.w += n
		short = in.w < len(in.buf.b)
		in.turns += turnsOf(n)
		c.heard.Store(c.now())
	}
	in.turns = 0
	in.free()
	in.publish()
	if a.handled {
		a.handled = false
		a.restAt = now + int64(c.opts.RestAfter)
	}
	if c.closing.Load() {
		return true
	}
	c.waiting.Store(now)
	return false
}

// mayWait reports whether a wait may follow a read that has not filled the buffer,
// and need not begin with one that finds nothing. Bytes that come later are told of;
// only what came together with those that were read may not be, such as the end of the
// stream. It is found when the socket is looked at next, so that must be soon.
func (in *input) mayWait(now int64) bool {
	return socket.ReadsAll && in.c.isTCP && in.attention.until <= now+lookAfter
}

// A connection that has something to read again within the time often is looked at
// after lookAfter. To wake up for that is no gain where few messages come meanwhile.
const (
	often     = int64(5 * time.Millisecond)
	lookAfter = int64(50 * time.Millisecond)
)

// deal has the messages handled that are in hand. It reports whether nothing is then.
func (in *input) deal() bool {
	a := &in.attention
	for in.err == nil {
		switch {
		case in.r < in.ready:
			if in.Inside() {
				return false
			}
			a.handled = true
			if !in.call() {
				a.why = Over
				return false
			}
		case in.w == in.ready:
			return !in.Inside() // or it was the header alone of a frame
		case !in.advance():
			return false
		}
		if in.turns++; in.turns >= maxTurns {
			in.yield()
		}
	}
	return false
}

// call calls handle. That may read, and others may, so in.mu is let go.
func (in *input) call() (again bool) {
	a := &in.attention
	a.running = true
	in.mu.Unlock()
	defer func() { // also where handle ends its goroutine
		in.mu.Lock()
		a.running = false
	}()
	return a.handle()
}

// attendUntil sets the time when a wait ends, and reports whether there may be one: not
// where reading has failed, or a close has begun.
func (c *Conn) attendUntil(t int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil || !c.closeBy.IsZero() {
		return false
	}
	c.early = true
	c.in.attention.until = t
	c.arm(c.born.Add(time.Duration(t)))
	return true
}

// readBeside reads while a handler runs in an Attend: that holds the right to wait
// for the socket, so here it is looked at again and again. Only a close handshake
// reads then, and CloseBy bounds it.
func (in *input) readBeside() error {
	for wait := time.Millisecond; ; wait = min(2*wait, besideWait) {
		var n int
		var errno error
		if err := in.c.raw.Control(func(fd uintptr) {
			in.lend()
			n, errno = socket.Read(fd, in.buf.b[in.w:])
		}); err != nil {
			return err
		}
		if errno != socket.ErrAgain {
			in.n, in.errno = n, errno
			return nil
		}
		in.free()
		if in.c.deadlineOver() {
			return os.ErrDeadlineExceeded
		}
		in.c.waiting.CompareAndSwap(0, in.c.now())
		time.Sleep(wait)
	}
}

// besideWait is the longest that such a read looks away.
const besideWait = 10 * time.Millisecond

// deadlineOver reports whether the read deadline is.
func (c *Conn) deadlineOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.armed.IsZero() && !time.Now().Before(c.armed)
}
