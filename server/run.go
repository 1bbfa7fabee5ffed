package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/transport"
)

// The life of a connection is begin, then run, and then teardown. An idle connection may
// be parked between two runs: see park.go.

// run serves one connection until it ends or is parked, in one group: the handler and
// the heartbeat. The member that fails first has recorded the reason for the end: see
// setReason.
func (c *Conn) run() {
	g, _ := c.group()
	c.after(g.Wait())
}

// start is like run, but no goroutine waits for the group meanwhile. Such a goroutine would
// take 3 KiB for each connection.
func (c *Conn) start() {
	g, gctx := c.group()
	context.AfterFunc(gctx, func() {
		growStack()
		c.after(g.Wait())
	})
}

// group starts the handler and the heartbeat. Its context ends with the first error, so
// a member that ends the connection must finish the closing handshake before it
// returns.
func (c *Conn) group() (*errgroup.Group, context.Context) {
	g, gctx := errgroup.WithContext(c.ctx)
	g.Go(func() error { return c.read() }) // the handler; never gctx, see docs/adr/0001
	if c.heartbeat != nil {
		g.Go(func() error { return c.closeFor(c.heartbeat.Run(gctx, pinger{c})) }) // one ping per tick
	}
	if c.late {
		c.late = false
		g.Go(func() error { c.drain(); return nil })
	}
	return g, gctx
}

// growStack makes the stack of a new goroutine large enough for what follows. A stack
// that grows inside coder or the logger is copied twice, with many frames. That takes
// several microseconds.
//
//go:noinline
func growStack() byte {
	var frame [4 << 10]byte
	return frame[len(runtimeStack)]
}

var runtimeStack string // empty; the compiler cannot know it

// after decides what follows the group that has ended with err.
func (c *Conn) after(err error) {
	if err == errPark {
		c.park()
		return
	}
	c.teardown()
}

// begin makes c one of the server's connections. The handler's context has the values
// of parent. It returns false if c has ended already: a Logger has panicked.
func (c *Conn) begin(parent context.Context) (begun bool) {
	defer func() {
		if !begun {
			c.closeAfterHandler(c.recovered(recover()))
			c.teardown()
		}
	}()
	c.ctx, c.cancel = context.WithCancelCause(parent)
	late, tooLate := c.srv.add(c)
	c.startTimers() // a timer that fires needs c.id
	c.late = late
	c.pinned = late // the run waits for the drain, so it cannot end before
	c.logBegin()
	c.warnSubprotocol()
	if tooLate {
		c.cutOff()
	}
	return true
}

// read calls the handler until it has ended the connection, or returns errPark. A
// handler may call runtime.Goexit, so the end is recorded by a deferred function.
func (c *Conn) read() (err error) {
	growStack()
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
	err = c.handle()
	returned = true
	return err
}

// handle calls the handler once, or for each message if the connection can be parked.
func (c *Conn) handle() error {
	if !c.canPark {
		return c.srv.handler(c.ctx, c)
	}
	for !c.isClosing() {
		first, after := c.idleTimes()
		switch c.tr.ServeReady(c.handleReady, first, after) {
		case transport.Idle:
			return errPark
		case transport.Done:
			return c.handlerErr
		}
		if err := c.srv.handler(c.ctx, c); !c.again(err) {
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
	c.handlerErr = c.srv.handler(c.ctx, c)
	return c.again(c.handlerErr)
}

// again reports whether a handler that has returned err is to be called again.
func (c *Conn) again(err error) bool {
	return c.canPark && (err == ErrNoMessage || errors.Is(err, ErrNoMessage)) && !c.isClosing()
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
			left := o.IdleTimeout + time.Duration(c.lastMessage.Load()) - time.Since(c.tr.Began())
			if left > 0 {
				c.mu.Lock()
				defer c.mu.Unlock()
				if state(c.state.Load()) == stateOpen { // else teardown may have stopped it
					t.Reset(left)
				}
				return
			}
			c.startClose((&ending.Error{Kind: ending.Idle, Reason: "no message for too long"}).Ending())
		})
		close(ready)
		c.timers = append(c.timers, t)
	}
}

// recovered returns the error for a handler that has panicked with v, or has called
// runtime.Goexit.
func (c *Conn) recovered(v any) error {
	if v == nil {
		return &ending.Error{Kind: ending.Panicked, Cause: errors.New("the handler ended its goroutine")}
	}
	c.srv.log.Error("handler panicked", "id", c.id, "remote", c.remote, "panic", logged(fmt.Sprint(v)), "stack", string(debug.Stack()))
	return &ending.Error{Kind: ending.Panicked, Cause: fmt.Errorf("panic: %v", v)}
}
