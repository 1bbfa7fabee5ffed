package server

import (
	"errors"
	"time"
)

// ErrIdle is what a read returns where Options.Stateless is set and no message
// has come for a while. A handler returns it, and is called again with the next.
var ErrIdle = errors.New("server: no message has come for a while")

// restAfter is that while, or half of it.
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
	for {
		if c.noted() { // there is nothing to handle any more
			c.close(nil)
			return
		}
		if c.tr.Idle() {
			go c.rest()
			return
		}
		if !c.handle() {
			return
		}
	}
}
