package transport

import (
	"errors"
	"io"
	"os"
	"time"

	"example.com/wsecho/internal/socket"
)

// lend gives buf a buffer, with what is kept of a frame at its start.
func (in *input) lend() {
	if in.buf == nil {
		in.buf = in.c.opts.Read.get()
		in.r, in.ready = headroom, headroom
		in.w = headroom + copy(in.buf.b[headroom:], in.part)
		in.part = in.part[:0]
	}
}

// rewind lets the next read begin at the start of the buffer, where nothing in it is
// wanted any more.
func (in *input) rewind() {
	if in.buf != nil && in.w == in.ready {
		in.r, in.ready, in.w = headroom, headroom, headroom
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
	var err error
	if in.server.running {
		err = in.readBeside()
	} else {
		err = in.c.raw.Read(in.some)
	}
	if err != nil {
		return err
	}
	switch {
	case in.errno == socket.ErrAgain:
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
	in.n, in.errno = socket.Read(fd, in.buf.b[in.w:])
	if in.errno == socket.ErrAgain {
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
