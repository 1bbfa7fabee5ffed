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

// How long a get may wait.
type patience uint8

const (
	forInput   patience = iota
	forMessage          // no longer than until a close begins; not at all with Options.ServeReady
	atOnce              // not at all
)

// fill waits for input. What was scanned has been handed on. Its own error is
// errEarly or errIdle; one of reading is in.err.
func (in *input) fill(p patience) error {
	c := in.c
	began := in.Inside() || in.w > in.ready || len(in.part) > 0
	in.publish()
	if err := c.await(began, in.waited, p); err != nil {
		in.err = err
		return nil
	}
	if p != forInput && c.closing.Load() {
		return errEarly
	}
	if p == forMessage && !began && c.opts.ServeReady {
		return errIdle
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
		if c.now()-c.waiting.Load() > int64(anyWait) {
			in.turns = 0 // readSome knows it for sure
		}
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
	if in.Rest > 0 { // the buffer was empty: there is headroom for a header
		in.r, in.ready = in.Resume(in.buf.b, in.ready, in.w)
		in.more.Store(in.w > in.ready)
	}
	return nil
}

// anyWait is longer than a read takes that does not wait.
const anyWait = 50 * time.Microsecond

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
	case !began && c.early && c.opts.ServeReady:
		return errIdle
	case began:
		err = &ending.Error{Kind: ending.TooSlow, Reason: fmt.Sprintf("message took longer than %v", c.opts.MessageTimeout)}
	}
	c.failed = err
	return err
}
