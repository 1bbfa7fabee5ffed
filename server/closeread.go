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
// does not block, and it may be called more than once. Do not call Reader or Read
// afterwards. With Options.ParkAfter the server reads, and there is no goroutine.
func (c *Conn) CloseRead(ctx context.Context) context.Context {
	if ctx != c.ctx {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closeRead == nil && !c.canPark && state(c.state.Load()) != stateClosed { // else teardown may be over
		c.closeRead = make(chan struct{})
		go c.refuseMessage(ctx)
	}
	return ctx
}

// refuseMessage waits for a message and then ends the connection.
func (c *Conn) refuseMessage(ctx context.Context) {
	defer close(c.closeRead)
	if _, _, err := c.Reader(ctx); err != nil {
		if ctx.Err() != nil { // perhaps before the call of Reader
			c.closeAtOnce(ending.Ending{Kind: ending.Closed, By: ending.Local, Cause: context.Cause(ctx)})
		}
		return
	}
	c.startClose(ending.Ending{Kind: ending.Closed, Code: websocket.StatusPolicyViolation,
		Reason: "a message was received, and none is expected", By: ending.Local})
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.msg.err == nil {
		c.msg.err = net.ErrClosed
		c.msg.release()
	}
}
