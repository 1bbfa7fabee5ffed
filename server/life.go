package server

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
)

// A connection's life is begin, then the handler, once or from time to time, and
// then end. The beats of its heart run in the group.

// begin makes c one of the server's connections. The handler's context has the
// values of parent. If it is false c has ended: a Logger has panicked.
func (c *Conn) begin(parent context.Context) (begun bool) {
	defer func() {
		if !begun {
			c.close(c.recovered(recover()))
		}
	}()
	c.ctx, c.cancel = context.WithCancel(parent)
	c.limits()
	late, tooLate := c.srv.add(c)
	c.srv.log.Debug("began", "id", c.id, "remote", logged(c.remote), "host", logged(c.host), "uri", logged(c.uri),
		"subprotocol", logged(c.subprotocol))
	if late {
		c.group.Go(func() error { c.drain(); return nil })
	}
	if tooLate {
		c.cut()
	}
	c.startBeats()
	return true
}

// handle calls the handler. It reports whether the handler is to be called again;
// if not, the connection has ended.
func (c *Conn) handle() (again bool) {
	var err error
	panicked := true
	defer func() { // also where the handler ends its goroutine
		if panicked {
			err = c.recovered(recover())
		}
		if !again {
			c.close(err)
		}
	}()
	err = c.srv.handler(c.ctx, c)
	panicked = false
	return c.again(err)
}

// close ends the connection, unless it has ended, and tells how.
func (c *Conn) close(err error) {
	c.finish(err)
	for _, t := range c.timers {
		t.Stop()
	}
	c.stop()
	_ = c.group.Wait() // what the heartbeat found is noted
	// Where CloseNow or cut was first, coder has not heard of it yet: without
	// this it would never be freed, and might still be reading.
	_ = c.ws.CloseNow()
	c.tr.Hangup()
	c.tell()
}

// limits starts the clocks of age and idleness.
func (c *Conn) limits() {
	o := &c.srv.opts
	if o.MaxAge > 0 {
		age := time.Duration(float64(o.MaxAge) * (0.9 + 0.2*rand.Float64()))
		c.timers = append(c.timers, time.AfterFunc(age, func() {
			c.conclude((&ending.Error{Kind: ending.Aged, Reason: "maximum age reached"}).Ending())
		}))
	}
	if o.IdleTimeout > 0 {
		c.lastMessage.Store(time.Now().UnixNano())
		var t *time.Timer
		ready := make(chan struct{})
		t = time.AfterFunc(o.IdleTimeout, func() {
			<-ready
			left := o.IdleTimeout - time.Since(time.Unix(0, c.lastMessage.Load()))
			if left > 0 {
				t.Reset(left)
				return
			}
			c.conclude((&ending.Error{Kind: ending.Idle, Reason: "no message for too long"}).Ending())
		})
		close(ready)
		c.timers = append(c.timers, t)
	}
}

// recovered is the error of a handler that has not returned.
func (c *Conn) recovered(v any) error {
	if v == nil {
		return &ending.Error{Kind: ending.Panicked, Cause: fmt.Errorf("the handler ended its goroutine")}
	}
	c.srv.log.Error("handler panicked", "id", c.id, "remote", logged(c.remote), "panic", logged(fmt.Sprint(v)), "stack", string(debug.Stack()))
	return &ending.Error{Kind: ending.Panicked, Cause: fmt.Errorf("panic: %v", v)}
}

// finish ends the connection, unless it has ended, as the handler's error says.
func (c *Conn) finish(err error) {
	if failed := c.writeFailed.Load(); failed != nil && !c.noted() {
		c.learn()
	}
	switch {
	case err == nil:
		c.conclude(ending.Ending{Kind: ending.Done, Code: websocket.StatusNormalClosure, By: ending.Local})
	default:
		c.conclude(ofHandler(err))
	}
	<-c.over.done()
}

// learn finds out why a write has failed: it did not say, but what the peer or
// the kernel has to tell is there to be read. Where a goroutine of the handler's
// is still reading, it is the one that finds out.
func (c *Conn) learn() {
	c.tr.CloseBy(time.Now().Add(learnTime))
	c.reading.Lock()
	defer c.reading.Unlock()
	r := c.msg.r
	if c.msg.err != nil {
		r = nil
	}
	for !c.noted() {
		var err error
		if r != nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err == nil {
			_, r, err = c.ws.Reader(context.Background())
		}
		if err != nil {
			_ = c.readFailed(err) // notes it, and the loop ends
		}
	}
}

// learnTime is how long that may take.
const learnTime = time.Second

// ofHandler is the ending that the error of a handler asks for.
func ofHandler(err error) ending.Ending {
	// What the peer or the network has done, the reader knows. An error that says
	// so now is of something else that the handler uses.
	if known, ok := asError(err); ok && known.Kind.By() == ending.Local {
		end := known.Ending()
		end.By, end.Cause = ending.Local, err
		return end
	}
	return ending.Ending{Kind: ending.Failed, Code: websocket.StatusInternalError, By: ending.Local, Cause: err}
}

// note records why the connection ends, if nothing is recorded yet.
func (c *Conn) note(end ending.Ending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end.Kind != ending.Open {
		return false
	}
	c.end = end
	c.hasEnd.Store(true)
	c.ended = time.Now()
	return true
}

func (c *Conn) noted() bool { return c.hasEnd.Load() }

// conclude ends the connection for a reason, unless it has one already, and
// reports whether it did. It says goodbye where there is something to say, which
// takes the close timeout at most, and then ends the handler's context.
func (c *Conn) conclude(end ending.Ending) bool {
	if end.Kind == ending.Open || !c.note(end) {
		return false
	}
	defer c.stop()
	defer c.over.release()
	c.tr.CloseBy(time.Now().Add(c.srv.opts.CloseTimeout))
	code := goodbye(end)
	if code == 0 {
		_ = c.ws.CloseNow() // the reason is known
		return true
	}
	// The peer may have closed and been answered, and the reader not have come to
	// say so. Then there is nothing of ours on the wire, and tell tells the truth, as
	// it does where the answer leaves from here on, before what is sent below.
	c.answered = !refuses(end.Kind) && c.tr.CloseSent()
	if refuses(end.Kind) {
		// There is nothing that the peer could still say: it hears why, and what
		// it goes on sending is read off by Hangup.
		c.tr.Fail(&ending.Error{Kind: end.Kind, Reason: end.Reason})
	}
	// Whether the frame left and was answered, the transport has seen.
	_ = c.ws.Close(code, reasonOf(end))
	return true
}

// refuses reports whether what the peer has sent ends the connection.
func refuses(k ending.Kind) bool {
	switch k {
	case ending.Protocol, ending.InvalidUTF8, ending.TooBig, ending.TooSlow, ending.Flood, ending.NoMemory:
		return true
	}
	return false
}

// goodbye is the code of the close frame that this side has to send, 0 if none.
func goodbye(end ending.Ending) websocket.StatusCode {
	switch {
	case end.By == ending.Peer, end.By == ending.Network, end.Kind == ending.WriteStalled:
		return 0
	case frame.LegalCode(end.Code):
		return end.Code
	case end.Kind == ending.Closed:
		return websocket.StatusGoingAway
	}
	return websocket.StatusInternalError
}

// reasonOf is the reason beside that code.
func reasonOf(end ending.Ending) string { return cutReason(strings.ToValidUTF8(end.Reason, "\uFFFD")) }

// cutReason cuts a reason to what a close frame can hold. A longer one would
// make coder send no frame at all.
func cutReason(s string) string {
	const most = 123
	if len(s) <= most {
		return s
	}
	for n := most; n > most-utf8.UTFMax; n-- {
		if utf8.RuneStart(s[n]) {
			return s[:n]
		}
	}
	return s[:most]
}

// cut ends the connection at once: the server has waited long enough.
func (c *Conn) cut() {
	if c.note((&ending.Error{Kind: ending.Drained, Reason: "cut at the end of the drain"}).Ending()) {
		c.answered = true
		c.over.release()
	}
	c.tr.Abort()
	c.stop()
}

// stop ends the handler's context and the heartbeat.
func (c *Conn) stop() {
	c.pulse.stop()
	c.cancel()
}

// drain asks the handler to finish and then ends the connection.
func (c *Conn) drain() {
	c.draining.release()
	if d := c.srv.opts.DrainNotice; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.ctx.Done():
		}
	}
	c.conclude((&ending.Error{Kind: ending.Drained, Reason: "the server is going away"}).Ending())
}
