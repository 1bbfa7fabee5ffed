package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"example.com/wsecho/ending"
)

// A waitMode is how long a get may wait.
type waitMode uint8

const (
	forInput   waitMode = iota
	forMessage          // until a close begins; not at all with Options.ServeReady
	noWait              // not at all
)

// fill waits for input. All scanned input has been passed to coder. It returns
// errInterrupted or errIdle; the error of a read is in.err.
func (in *input) fill(p waitMode) error {
	c := in.c
	began := in.Inside() || in.w > in.ready || len(in.incompleteFrame) > 0
	in.publish()
	if err := c.await(began, in.waited, p); err != nil {
		in.err = err
		return nil
	}
	if p != forInput && c.closing() {
		return errInterrupted
	}
	if p == forMessage && !began && c.opts.ServeReady {
		return errIdle
	}
	in.poll = p == noWait
	var start time.Time
	if began && c.opts.MessageTimeout > 0 {
		start = time.Now()
	}
	var err error
	if c.raw != nil {
		err = in.readRaw()
	} else {
		err = in.readPlain()
		if c.now()-c.waiting.Load() > int64(minWait) {
			in.resetQuantum() // readSome sees that directly
		}
	}
	c.waiting.Store(0)
	if !start.IsZero() {
		in.waited += time.Since(start)
	}
	if err != nil {
		in.releaseBuffer()
		if err = c.readError(err, began); err == errInterrupted || err == errIdle {
			return err
		}
		in.err = err
		return nil
	}
	c.received.Store(c.now())
	if in.Remaining > 0 { // the buffer was empty: there is headroom for a header
		in.r, in.ready = in.Resume(in.buf.b, in.ready, in.w)
		in.hasInput.Store(in.w > in.ready)
	}
	return nil
}

// A read that takes longer than minWait has waited.
const minWait = 50 * time.Microsecond

// await sets the deadline of the read that follows. Its error is that of a Conn that
// has failed.
func (c *Conn) await(began bool, waited time.Duration, p waitMode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.Err(); err != nil {
		return err
	}
	c.interruptible = p != forInput
	limit := c.closeLimit()
	if began && c.opts.MessageTimeout > 0 {
		end := time.Now().Add(c.opts.MessageTimeout - waited)
		if limit.IsZero() || end.Before(limit) {
			limit = end
		}
	}
	c.arm(limit)
	return nil
}

// errInterrupted is the error of a wait that a close of this side has ended.
var errInterrupted = errors.New("transport: a close has begun")

// readError records and returns the reason behind an error of the socket.
func (c *Conn) readError(err error, began bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.Err() != nil:
		return c.Err()
	case err == errIdle: // no input is there now
		return err
	case c.interruptible && c.closing() && errors.Is(err, os.ErrDeadlineExceeded):
		return errInterrupted
	case err == io.EOF && c.pendingReset.Load() != nil:
		err = *c.pendingReset.Load()
	case !errors.Is(err, os.ErrDeadlineExceeded):
		err = ending.Stream(err)
	case c.closing() && !time.Now().Before(c.closeLimit()):
		err = net.ErrClosed // the closing handshake was too long
	case !began && c.interruptible && c.opts.ServeReady:
		return errIdle
	case began:
		err = &ending.Error{Kind: ending.TooSlow, Reason: fmt.Sprintf("message took longer than %v", c.opts.MessageTimeout)}
	}
	c.setFailed(err)
	return err
}
