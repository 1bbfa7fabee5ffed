package server

import (
	"context"
	"net"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// CloseRead starts a goroutine that reads, for a handler that only writes. It detects the
// end of the connection at once, and Ping gets its pong. A message ends the connection
// with 1008, as coder/websocket's CloseRead does.
//
// The context that it returns ends with ctx and with the connection. Its [context.Cause]
// is then the reason. If ctx ends first, the connection ends with kind Closed. CloseRead
// does not block. It may be called more than once, and then the end of each ctx ends the
// connection. Do not call Reader or Read afterwards. With Options.ParkAfter the server
// reads, and there is no goroutine.
func (c *Conn) CloseRead(ctx context.Context) context.Context {
	if ctx != c.ctx {
		var cancel context.CancelCauseFunc
		stop := c.closeAfter(ctx)
		ctx, cancel = context.WithCancelCause(ctx)
		context.AfterFunc(c.ctx, func() {
			stop()
			cancel(context.Cause(c.ctx))
		})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closeRead == nil && !c.canPark && !c.isClosed() { // else teardown may be over
		c.closeRead = make(chan struct{})
		go c.refuseMessage()
	}
	return ctx
}

// refuseMessage waits for a message and then ends the connection.
func (c *Conn) refuseMessage() {
	defer close(c.closeRead)
	if _, _, err := c.Reader(c.ctx); err != nil {
		return
	}
	c.startClose(ending.Ending{Kind: ending.Closed, Code: websocket.StatusPolicyViolation,
		Reason: "a message was received, and none is expected", By: ending.Local})
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.msg.err == nil {
		c.msg.err = net.ErrClosed
	}
}
