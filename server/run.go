package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/transport"
)

// The life of a connection is begin, then run, and then teardown. An idle connection may
// be parked between two runs: see park.go.

// run serves one connection until it ends or is parked. The heartbeat runs in a group. The
// handler runs on the goroutine that waits for the group, which saves a stack. That
// goroutine also releases the connection, so its stack grows only once.
//
// The end of c ends both: the handler's context, and so the group's, end with it. Each
// function that ends c records the reason first: see setReason. So the error of the group
// decides only whether c is parked.
func (c *Conn) run() {
	g, _ := c.group()
	defer func() { c.afterRun(g.Wait()) }() // also if the handler calls runtime.Goexit
	if c.canPark {
		growStack()
	}
	if err := c.runHandler(); err == errPark {
		g.Go(func() error { return err }) // ends the group
	} // else c.ctx has ended, and so the group
}

// growStack makes the stack of a new goroutine large enough for the handler. Otherwise
// the stack would grow twice inside coder, with a copy of all its frames each time. run
// calls growStack only for connections that can be parked. Others would keep the larger
// stack while they are idle.
//
//go:noinline
func growStack() byte {
	var frame [4 << 10]byte
	return frame[len(emptyString)]
}

var emptyString string // empty, which the compiler cannot know

// group starts a group with the heartbeat. A connection that was accepted during a drain
// has its drain there too. The handler is not in the group and never gets gctx, which ends
// with the first error: see docs/adr/0001. A member that ends the connection finishes the
// closing handshake before it returns.
func (c *Conn) group() (*errgroup.Group, context.Context) {
	g, gctx := errgroup.WithContext(c.ctx)
	if m := c.heartbeat.Load(); m != nil {
		g.Go(func() error { return c.closeFor(m.Run(gctx, pinger{c})) }) // one ping per tick
	}
	if c.drainAtOnce {
		c.drainAtOnce = false
		g.Go(func() error { c.drain(); return nil })
	}
	return g, gctx
}

// afterRun decides what follows the group that has ended with err.
func (c *Conn) afterRun(err error) {
	if err == errPark {
		c.park()
		return
	}
	<-c.ctx.Done() // also if another goroutine began to close c when it was to be parked
	c.teardown()
}

// begin makes c one of the server's connections and calls Options.OnStart. The handler's
// context has the values of parent. It returns false if c has ended already: OnStart has
// panicked.
func (c *Conn) begin(parent context.Context) (begun bool) {
	defer func() {
		if !begun {
			c.closeAfterHandler(c.recovered(recover()))
			c.teardown()
		}
	}()
	c.ctx, c.cancel = context.WithCancelCause(parent)
	draining, cutting := c.srv.add(c)
	c.srv.observeStarted(c)
	c.startTimers() // a timer that fires needs c.id
	c.drainAtOnce = draining
	c.neverPark = draining // c.drain is a member of the group
	c.logBegin()
	c.warnSubprotocol()
	if f := c.srv.opts.OnStart; f != nil {
		f(c)
	}
	c.started.Store(true)
	if cutting {
		c.cutOff()
	}
	return true
}

// runHandler calls the handler until it has ended the connection, or returns errPark. A
// handler may call runtime.Goexit, so the end is recorded by a deferred function.
func (c *Conn) runHandler() (err error) {
	returned := false
	defer func() {
		if !returned {
			err = c.recovered(recover())
		}
		if err != errPark {
			c.closeAfterHandler(err)
			err = context.Cause(c.ctx)
		}
	}()
	err = c.handleMessages()
	returned = true
	return err
}

// handleMessages calls the handler once, or for each message if the connection can be parked.
func (c *Conn) handleMessages() error {
	if !c.canPark {
		return c.handler()(c.ctx, c)
	}
	for !c.isClosing() {
		first, after := c.idleTimes()
		switch c.tr.ServeReady(c.handleReady, first, after) {
		case transport.Idle:
			return errPark
		case transport.Done:
			return c.handlerErr
		}
		if again, err := c.callHandler(); !again {
			return err
		}
	}
	return nil // closeAfterHandler waits for the end
}

// handleReady calls the handler for messages that are buffered, and reports whether it
// is to be called again. A panic must not pass through ServeReady.
func (c *Conn) handleReady() (again bool) {
	defer func() {
		if v := recover(); v != nil {
			c.handlerErr = c.recovered(v)
		}
	}()
	again, c.handlerErr = c.callHandler()
	return again
}

// callHandler calls the handler of a connection that can be parked. It reports whether to call it
// again, and otherwise returns its error.
func (c *Conn) callHandler() (again bool, err error) {
	reads := c.reads
	err = c.srv.handler(c.ctx, c)
	switch {
	case err != ErrNoMessage && !errors.Is(err, ErrNoMessage), c.isClosing():
		return false, err
	case c.reads == reads:
		return false, fmt.Errorf("the handler has not read: %w", err)
	}
	return true, nil
}

// closeFor ends the connection for err, if there is one, and returns err.
func (c *Conn) closeFor(err error) error {
	if err != nil {
		c.startClose(ending.Of(err))
	}
	return err
}

// startTimers starts the timers of MaxAge and IdleTimeout.
func (c *Conn) startTimers() {
	o := &c.srv.opts
	if o.MaxAge > 0 {
		age := time.Duration(float64(o.MaxAge) * (0.9 + 0.2*rand.Float64()))
		c.timers = append(c.timers, time.AfterFunc(age, func() {
			c.startClose((&ending.Error{Kind: ending.Aged, Reason: "maximum age reached"}).Ending())
		}))
	}
	if o.IdleTimeout > 0 {
		c.lastMessage.Store(int64(time.Since(c.tr.Began())))
		var t *time.Timer
		ready := make(chan struct{})
		t = time.AfterFunc(o.IdleTimeout, func() {
			<-ready
			c.onIdleTimer(t)
		})
		close(ready)
		c.timers = append(c.timers, t)
	}
}

// onIdleTimer ends the connection, or sets its timer t again if a message has been
// received.
func (c *Conn) onIdleTimer(t *time.Timer) {
	left := c.srv.opts.IdleTimeout + time.Duration(c.lastMessage.Load()) - time.Since(c.tr.Began())
	if left > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.isClosing() { // else teardown may have stopped it
			t.Reset(left)
		}
		return
	}
	c.startClose((&ending.Error{Kind: ending.Idle, Reason: "no message for too long"}).Ending())
}

// recovered returns the error for a handler that has panicked with v, or has called
// runtime.Goexit.
func (c *Conn) recovered(v any) error {
	panicked := ending.Error{Kind: ending.Panicked, Cause: errors.New("the handler ended its goroutine")}
	if v == nil {
		return &ending.Choice{Err: panicked}
	}
	c.srv.reportPanic("handler", c, v)
	panicked.Cause = fmt.Errorf("panic: %v", v)
	return &ending.Choice{Err: panicked}
}
