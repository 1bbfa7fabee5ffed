package transport

import (
	"errors"
	"io"
	"os"
	"time"

	"example.com/wsecho/internal/socket"
)

// acquireBuffer sets buf to a buffer that begins with the kept part of a frame.
func (in *input) acquireBuffer() {
	if in.buf == nil {
		in.buf = in.c.opts.Read.get()
		in.r, in.ready = headroom, headroom
		in.w = headroom + copy(in.buf.b[headroom:], in.incompleteFrame)
		in.incompleteFrame = in.incompleteFrame[:0]
	}
}

// resetBuffer makes the next read begin at the start of the buffer, if all input in it
// has been used.
func (in *input) resetBuffer() {
	if in.buf != nil && in.w == in.ready {
		in.r, in.ready, in.w = headroom, headroom, headroom
	}
}

// releaseBuffer returns the buffer to the pool. An incomplete frame moves to incompleteFrame.
func (in *input) releaseBuffer() {
	if in.buf == nil {
		return
	}
	if in.w > in.ready {
		if in.incompleteFrame == nil {
			in.incompleteFrame = make([]byte, 0, maxIncompleteFrame)
		}
		in.incompleteFrame = append(in.incompleteFrame, in.buf.b[in.ready:in.w]...)
	}
	if len(in.buf.b) == in.c.opts.Read.size {
		in.c.opts.Read.put(in.buf)
	}
	in.buf, in.r, in.ready, in.w = nil, 0, 0, 0
}

// maxIncompleteFrame is the size of the largest incomplete frame that is kept. readPlain also reads
// into it.
const maxIncompleteFrame = 256

// readRaw waits for the socket to be ready and only then acquires a buffer.
func (in *input) readRaw() error {
	in.releaseBuffer()
	in.n, in.errno = 0, nil
	var err error
	if in.server.running {
		err = in.readPolling()
	} else {
		err = in.c.raw.Read(in.onReadable)
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

// readSome is the callback of readRaw, called when there may be input.
func (in *input) readSome(fd uintptr) bool {
	in.acquireBuffer()
	in.n, in.errno = socket.Read(fd, in.buf.b[in.w:])
	if in.errno == socket.ErrAgain {
		if in.poll {
			return true
		}
		in.errno = nil
		in.resetQuantum()
		in.releaseBuffer()
		in.c.waiting.CompareAndSwap(0, in.c.now())
		return false
	}
	return true
}

// readPlain reads from a connection whose readiness is unknown: TLS, pipes, other
// systems. It waits with a small buffer, and acquires a large one if that is filled.
func (in *input) readPlain() error {
	c := in.c
	in.releaseBuffer()
	c.waiting.Store(c.now())
	if in.bufferFilled {
		in.acquireBuffer()
		limit := c.shortenDeadline()
		n, err := c.sock.Read(in.buf.b[in.w:])
		in.w += n
		in.bufferFilled = in.w == len(in.buf.b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !c.restoreDeadline(limit) {
			return dropEarly(n, err)
		}
		in.releaseBuffer() // no more input was there: the next wait needs no large buffer
	}
	if in.incompleteFrame == nil {
		in.incompleteFrame = make([]byte, 0, maxIncompleteFrame)
	}
	kept := len(in.incompleteFrame)
	n, err := c.sock.Read(in.incompleteFrame[kept:cap(in.incompleteFrame)])
	in.incompleteFrame = in.incompleteFrame[:kept+n]
	in.bufferFilled = kept+n == cap(in.incompleteFrame)
	in.acquireBuffer()
	return dropEarly(n, err)
}

// shortenDeadline bounds the next read by largeBufferWait. It returns the deadline before.
func (c *Conn) shortenDeadline() (limit time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit = c.readDeadline
	if soon := time.Now().Add(largeBufferWait); limit.IsZero() || soon.Before(limit) {
		c.arm(soon)
	}
	return limit
}

// restoreDeadline restores the deadline. It reports false if that has passed too, reading has
// failed, or CloseBy has interrupted the wait.
func (c *Conn) restoreDeadline(limit time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.closeBy.Load(); t != nil && (limit.IsZero() || t.Before(limit)) {
		limit = *t
	}
	if c.Err() != nil || c.interruptible && c.closing() || !limit.IsZero() && !time.Now().Before(limit) {
		return false
	}
	c.arm(limit)
	return true
}

// largeBufferWait is how long a read waits with a large buffer for more input.
const largeBufferWait = 5 * time.Millisecond

// dropEarly drops an error that a read returned with input. The next read returns it
// again.
func dropEarly(n int, err error) error {
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}
