package server

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
)

// A state is a stage in the life of a connection. It only ever advances:
//
//	open ── setReason ──> closing ── setClosed ──> closed
//
// The first setReason records the reason. Only correctReason may replace it, once and
// before setClosed: see docs/adr/0005. setClosed ends the handler's context with the reason
// as its cause, unless closeAtOnce has done so.
type state uint32

const (
	stateOpen    state = iota // messages go both ways
	stateClosing              // the reason is recorded, the closing handshake may be in progress
	stateClosed               // this side sends nothing more
)

// setReason is the transition from open to closing. It reports whether end is the
// reason: the first one is.
func (c *Conn) setReason(end ending.Ending) bool { return c.setReasonFor(end, nil) }

// setReasonFor is setReason, and sets atOnce with the reason. Abort is for a net.Conn that
// ignores its deadlines, and for the peer of a handler that does not return. All other
// connections are closed before.
func (c *Conn) setReasonFor(end ending.Ending, atOnce chan struct{}) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state(c.state.Load()) != stateOpen {
		return false
	}
	c.reason, c.reasonAt, c.atOnce = end, time.Now(), atOnce
	c.abort = time.AfterFunc(c.srv.opts.CloseTimeout+abortGrace, c.tr.Abort)
	c.state.Store(uint32(stateClosing))
	return true
}

// abortGrace is the time from the end of the close timeout to Abort.
const abortGrace = time.Second

// setClosed is the transition to closed, unless c is closed. It ends the handler's
// context with the reason as its cause.
func (c *Conn) setClosed() {
	c.mu.Lock()
	c.state.Store(uint32(stateClosed))
	end := c.reason
	c.mu.Unlock()
	c.endContext(end)
	c.srv.unparkClosed(c) // a parked connection gets no event of the socket for it
}

// endContext ends the handler's context, unless it has ended.
func (c *Conn) endContext(end ending.Ending) {
	c.cancel(&ending.Error{Kind: end.Kind, Code: end.Code, Reason: end.Reason, Cause: end.Cause})
}

// isClosing reports whether the reason is recorded.
func (c *Conn) isClosing() bool { return state(c.state.Load()) != stateOpen }

// isClosed reports whether setClosed was called.
func (c *Conn) isClosed() bool { return state(c.state.Load()) == stateClosed }

// onPeerClose records the peer's close frame. The reader calls it before coder sees and
// answers the frame, so the side that closed first is known. After closeAtOnce has recorded
// its reason, the frame is not answered: closeAtOnce sends this side's close frame.
func (c *Conn) onPeerClose(code websocket.StatusCode, reason string) (answer bool) {
	c.mu.Lock()
	c.peerClose = &websocket.CloseError{Code: code, Reason: reason}
	c.mu.Unlock()
	c.setReason(ending.OfClose(code, reason))
	c.tr.CloseBy(time.Now().Add(c.srv.opts.CloseTimeout))
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.atOnce == nil
}

// peerClosedFirst reports whether the reason is the peer's close frame.
func (c *Conn) peerClosedFirst() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peerClose != nil && c.reason.By == ending.Peer
}

// startClose ends the connection for a reason, unless it has one already, and reports
// whether it did. It blocks for the closing handshake, for the close timeout at most,
// and then ends the handler's context.
func (c *Conn) startClose(end ending.Ending) bool {
	if end.Kind == ending.Open {
		return false
	}
	if end.Kind == ending.NoPong {
		return c.closeAtOnce(end)
	}
	if !c.setReason(end) {
		return false
	}
	defer c.setClosed()
	code := closeCode(end)
	c.tr.CloseBy(time.Now().Add(c.srv.opts.CloseTimeout))
	if code == 0 {
		_ = c.ws.CloseNow()
		return true
	}
	if refusesInput(end.Kind) {
		// Nothing more is read from the peer. Hangup discards the rest of its input.
		c.tr.Fail(&ending.Error{Kind: end.Kind, Reason: end.Reason})
	}
	_ = c.ws.Close(code, reasonOf(end)) // the transport records what was sent and received
	c.correctReason()
	return true
}

// closeAtOnce is like startClose, but does not wait for the peer. The peer may be dead,
// or a caller has waited long enough. closeAtOnce ends the handler's context first. Then
// it sends the close frame if the socket accepts that at once: see TryClose. Under TLS
// that may wait for the peer for 20 milliseconds. teardown waits for closeAtOnce.
func (c *Conn) closeAtOnce(end ending.Ending) bool {
	done := make(chan struct{})
	defer close(done)
	if !c.setReasonFor(end, done) {
		return false
	}
	c.endContext(end)
	c.tr.Fail(&ending.Error{Kind: end.Kind, Reason: end.Reason, Cause: end.Cause})
	c.tr.TryClose(closeCode(end), reasonOf(end))
	limit := time.Now()
	if end.Kind != ending.NoPong {
		limit = limit.Add(c.srv.opts.CloseTimeout) // of Hangup, for a peer that is there
	}
	c.tr.CloseBy(limit)
	_ = c.ws.CloseNow() // ends a write that waits
	c.setClosed()
	return true
}

// correctReason replaces the reason by the peer's close frame. It does so if coder has
// answered that before it could send this side's own. The peer receives only the answer
// then.
func (c *Conn) correctReason() {
	sent, reason := c.tr.OurClose() // waits for a write
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peerClose
	if p == nil || c.isClosed() || c.reason.By == ending.Peer || sent != p.Code || reason != p.Reason {
		return
	}
	if sent != closeCode(c.reason) || reason != reasonOf(c.reason) {
		c.reason = ending.OfClose(p.Code, p.Reason)
	}
}

// answerClose completes a closing handshake that the peer began, unless the reader has
// done so. A close frame is answered at most once, by coder.
func (c *Conn) answerClose() {
	if !c.peerClosedFirst() || c.isClosed() {
		return
	}
	defer c.setClosed()
	c.mu.Lock()
	p := *c.peerClose
	c.mu.Unlock()
	_ = c.ws.Close(p.Code, p.Reason)
}

// closeAfterHandler ends the connection as the handler's error demands, unless it has
// ended. It returns when c is closed.
func (c *Conn) closeAfterHandler(err error) {
	if c.writeFailed.Load() != nil && !c.isClosing() {
		c.tr.CloseBy(time.Now().Add(reasonTimeout)) // bounds also a read that holds the lock
		c.reading.Lock()
		c.drainForReason()
		c.reading.Unlock()
	}
	end := ending.Ending{Kind: ending.Done, Code: websocket.StatusNormalClosure, By: ending.Local}
	if err != nil {
		end = ofHandler(err)
	}
	if !c.startClose(end) {
		c.answerClose()
	}
	<-c.ctx.Done()
}

// drainForReason reads on after a failed write, or the end of the stream, until the
// connection has ended. Only the error of a read has the reason. If a goroutine of the
// handler still reads, that read records the reason. c.reading is held.
func (c *Conn) drainForReason() {
	c.tr.CloseBy(time.Now().Add(reasonTimeout))
	m := &c.msg
	r := m.r
	if m.err != nil {
		r = nil
	}
	for !c.isClosing() {
		var err error
		if r != nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err == nil {
			_, r, err = c.ws.Reader(context.Background())
		}
		if err != nil {
			err = c.readFailed(err) // records the reason, so the loop ends
			if m.r != nil && m.err == nil {
				m.err = err
				m.release()
			}
		}
	}
}

// reasonTimeout bounds drainForReason.
const reasonTimeout = time.Second

// cutOff ends the connection at once, at the end of the drain timeout.
func (c *Conn) cutOff() {
	c.setReason((&ending.Error{Kind: ending.Drained, Reason: "cut at the end of the drain"}).Ending())
	c.tr.Abort()
	c.setClosed()
	_ = c.ws.CloseNow() // a call may wait for a lock of coder
}

// teardown releases all that a connection has, and reports its Outcome. It is the last
// step, after the handler and the heartbeat have returned.
func (c *Conn) teardown() {
	for _, t := range c.timers {
		t.Stop()
	}
	c.mu.Lock()
	atOnce := c.atOnce
	c.mu.Unlock()
	if atOnce != nil {
		<-atOnce
	}
	// After CloseNow or cutOff, coder's connection is still open. It would never be freed,
	// and it might still read.
	_ = c.ws.CloseNow()
	c.mu.Lock()
	closeRead := c.closeRead
	c.mu.Unlock()
	if closeRead != nil {
		<-closeRead
	}
	c.releaseBinds()
	c.abort.Stop()
	c.tr.Hangup()
	c.reportClose()
}

// CloseWith returns the error by which a handler closes its connection with a code and a
// reason. The reason is truncated to 123 bytes. The handler may wrap it. A code that may
// not be sent (RFC 6455, section 7.4) becomes 1011.
func CloseWith(code websocket.StatusCode, reason string) error {
	if !frame.LegalCode(code) {
		return &ending.Choice{Err: ending.Error{Kind: ending.Failed, Cause: fmt.Errorf("close code %d may not be sent", code)}}
	}
	return &ending.Choice{Err: ending.Error{Kind: ending.Closed, Code: code, Reason: reason}}
}

// ofHandler returns the ending that the error of a handler demands.
func ofHandler(err error) ending.Ending {
	// The reader has recorded how this connection ended. So another error with an ending
	// is about another connection, which the handler uses.
	var choice *ending.Choice
	if errorAs(err, &choice) && choice.Err.Kind.By() == ending.Local {
		end := choice.Err.Ending()
		end.By, end.Cause = ending.Local, err
		return end
	}
	return ending.Ending{Kind: ending.Failed, Code: websocket.StatusInternalError, By: ending.Local, Cause: err}
}

// refusesInput reports whether this side refuses what the peer has sent.
func refusesInput(k ending.Kind) bool {
	switch k {
	case ending.Protocol, ending.InvalidUTF8, ending.TooBig, ending.TooSlow, ending.Flood, ending.NoMemory:
		return true
	}
	return false
}

// closeCode returns the code of the close frame that this side sends, 0 for none.
func closeCode(end ending.Ending) websocket.StatusCode {
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

// reasonOf returns the reason beside that code.
func reasonOf(end ending.Ending) string {
	return truncateReason(strings.ToValidUTF8(end.Reason, "\uFFFD"))
}

// truncateReason truncates a reason to the size of a close frame. coder would send no
// frame for a longer one.
func truncateReason(s string) string {
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
