package server

import (
	"errors"
	"time"

	"example.com/wsecho/internal/transport"
)

// ErrIdle is what a read returns where Options.Stateless is set and no message is
// there. A handler returns it, and is called again with the next.
var ErrIdle = errors.New("server: no message is there")

// restAfter is how long a connection without a message keeps the stack that its
// handler was on.
const restAfter = 10 * time.Second

// A connection whose handler is stateless has, between messages, a goroutine that
// does nothing but wait. A stack that the handler and coder have once been on
// would stay as large as they made it; so rest and wake each begin on a new one.

// rest waits for the peer to say something.
func (c *Conn) rest() {
	c.tr.Rest()
	go c.wake()
}

// wake looks at it. If it was no more than a pong, c rests again.
func (c *Conn) wake() {
	if !c.noted() && c.tr.Idle() {
		go c.rest()
		return
	}
	for !c.noted() { // or there is nothing to handle any more
		switch c.tr.Attend(c.attended) {
		case transport.Idle:
			go c.rest()
			return
		case transport.Over:
			c.close(c.handled)
			return
		}
		if !c.handle() {
			return
		}
	}
	c.close(nil)
}

// attended calls the handler for messages that are there, and reports whether it is
// to be called again. It does not close the connection, of which Attend is in the
// midst.
func (c *Conn) attended() (again bool) {
	panicked := true
	defer func() {
		if !panicked {
			return
		}
		v := recover()
		c.handled = c.recovered(v)
		if v == nil { // the handler ends its goroutine, which Attend is on
			go c.close(c.handled)
		}
	}()
	c.handled = c.srv.handler(c.ctx, c)
	panicked = false
	return c.again(c.handled)
}

// again reports whether a handler that has returned err is to be called again.
func (c *Conn) again(err error) bool {
	return c.rests && (err == ErrIdle || errors.Is(err, ErrIdle)) && !c.noted()
}
