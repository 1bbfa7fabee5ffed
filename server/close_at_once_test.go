package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/wstest"
)

// TestMissedPongEndsAtOnce: after the last missed pong, the handler's context and the
// connection end at once. This is also true while a Write waits for the peer. A peer
// whose socket is alive gets 1001.
func TestMissedPongEndsAtOnce(t *testing.T) {
	for name, secure := range map[string]bool{"tcp": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ct := newCloseTestOn(t, Options{PingInterval: 400 * time.Millisecond, MaxMissed: -1, CloseTimeout: MaxCloseTimeout}, nil, secure)
			o := ct.endsAtOnce(t)
			late := secure && o.Sent == 0 && ct.lag.Total() > 0 // TLS has a limited time for a record
			if o.Sent != websocket.StatusGoingAway && !late || o.Received != 0 {
				t.Errorf("got sent %d, received %d, want 1001 sent", o.Sent, o.Received)
			}
			// The peer answers nothing, not even with FIN.
			if e, err := ct.peer.End(10 * time.Second); !late && (err != nil || e.Code != 1001 || !e.FIN) {
				t.Errorf("the peer got %v, %v, want a close frame with 1001 and FIN", e, err)
			}
		})
		t.Run(name+" blocked write", func(t *testing.T) {
			t.Parallel()
			ct := newCloseTestOn(t, Options{PingInterval: -1, WriteTimeout: -1, CloseTimeout: MaxCloseTimeout}, nil, secure)
			written := make(chan error, 1)
			go func() { written <- ct.c.Write(context.Background(), websocket.MessageBinary, make([]byte, 64<<20)) }()
			for began := time.Now(); !ct.c.tr.Writing(); time.Sleep(time.Millisecond) {
				if time.Since(began) > 10*time.Second {
					t.Fatal("no write waits")
				}
			}
			ct.missPong()
			if o := ct.endsAtOnce(t); o.Sent != 0 {
				t.Errorf("sent %d inside a message", o.Sent)
			}
			if next(t, written) == nil {
				t.Error("the message was written")
			}
		})
	}
}

// missPong ends the connection as the heartbeat does.
func (ct *closeTest) missPong() {
	ct.c.startClose((&ending.Error{Kind: ending.NoPong, Reason: "no pong"}).Ending())
}

// endsAtOnce checks that the connection ends at once with kind NoPong.
func (ct *closeTest) endsAtOnce(t *testing.T) Outcome {
	t.Helper()
	gone := next(t, ct.gone)
	o := next(t, ct.ends)
	ended := time.Now()
	if o.Kind != ending.NoPong {
		t.Errorf("got %v, want no pong", o.Kind)
	}
	bound := 500*time.Millisecond + ct.lag.Total()
	if d := gone.Sub(o.Ended); d > bound {
		t.Errorf("the handler's context ended %v after the verdict", d)
	}
	if d := ended.Sub(o.Ended); d > bound {
		t.Errorf("OnEnd was called %v after the verdict", d)
	}
	return o
}

// A slowConn blocks each Write while blocked contains a channel, until that is closed.
type slowConn struct {
	net.Conn
	blocked *atomic.Pointer[chan struct{}]
	writing chan struct{} // gets a value when a Write blocks
}

func (c slowConn) Write(p []byte) (int, error) {
	if b := c.blocked.Load(); b != nil {
		select {
		case c.writing <- struct{}{}:
		default:
		}
		<-*b
	}
	return c.Conn.Write(p)
}

// TestContextEndsFirst: the handler's context ends before the close frame is sent, and
// before a Write that waits is over. Here no write ends before the context.
func TestContextEndsFirst(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, during := range []bool{false, true} {
			t.Run(fmt.Sprintf("tls=%v write=%v", secure, during), func(t *testing.T) {
				t.Parallel()
				var blocked atomic.Pointer[chan struct{}]
				writing := make(chan struct{}, 1)
				ct := newCloseTestOn(t, Options{PingInterval: -1, CloseTimeout: MaxCloseTimeout},
					func(c net.Conn) net.Conn { return slowConn{c, &blocked, writing} }, secure)
				release := make(chan struct{})
				blocked.Store(&release)
				if during {
					go func() { _ = ct.c.Write(context.Background(), websocket.MessageText, []byte("a")) }()
					next(t, writing)
				}
				go ct.missPong()
				select {
				case <-ct.gone:
				case <-time.After(5 * time.Second):
					t.Error("the handler's context waits for a write")
				}
				var e *ending.Error
				if cause := context.Cause(ct.c.ctx); !errors.As(cause, &e) || e.Kind != ending.NoPong {
					t.Errorf("cause %v, want no pong", cause)
				}
				close(release)
				if o := next(t, ct.ends); o.Kind != ending.NoPong {
					t.Errorf("got %v", o.Kind)
				}
			})
		}
	}
}

// TestCloseDuringWrites: a context ends while another goroutine writes. The peer, which
// reads, gets 1001 behind the frame in progress.
func TestCloseDuringWrites(t *testing.T) {
	for _, size := range []int{100, 4000} {
		for i := range 40 {
			ct := newCloseTestOn(t, Options{PingInterval: -1, CloseTimeout: MaxCloseTimeout}, nil, false)
			wrote := make(chan struct{})
			go func() {
				// All of them fit into the socket.
				for i := range 20_000 / size {
					if ct.c.Write(context.Background(), websocket.MessageBinary, make([]byte, size)) != nil {
						return
					}
					if i == 1 {
						close(wrote)
					}
				}
			}()
			next(t, wrote)
			time.Sleep(time.Duration(i) * time.Microsecond)
			ct.c.closeAtOnce(ending.Ending{Kind: ending.Closed, By: ending.Local})
			e, err := ct.peer.End(10 * time.Second)
			_ = ct.peer.Close()
			o := next(t, ct.ends)
			if o.Sent == 0 && ct.lag.Total() > 100*time.Millisecond {
				continue // the Write has 200 ms
			}
			if err != nil || e.Code != 1001 || o.Sent != websocket.StatusGoingAway {
				t.Errorf("the peer got %v, %v, and %d was sent, want 1001", e, err, o.Sent)
			}
		}
	}
}

// TestPeerClosesAfterReason: the peer's close frame arrives after closeAtOnce has recorded
// the reason. coder must not answer it: the peer gets this side's close frame.
func TestPeerClosesAfterReason(t *testing.T) {
	ct := newCloseTest(t, Options{PingInterval: -1})
	c := ct.c
	done := make(chan struct{})
	end := ending.Ending{Kind: ending.Closed, Reason: "ours", By: ending.Local}
	if !c.setReasonFor(end, done) {
		t.Fatal("the first reason was refused")
	}
	if err := ct.peer.Send(wstest.CloseFrame(4999, "theirs")); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		received := c.peerClose != nil
		c.mu.Unlock()
		if received && c.tr.Waiting() {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("the close frame was answered or not received")
		}
	}
	c.endContext(end)
	c.tr.Fail(net.ErrClosed)
	if !c.tr.TryClose(1001, "ours") {
		t.Error("no close frame was sent")
	}
	c.setClosed()
	close(done)
	if e, err := ct.peer.End(10 * time.Second); err != nil || e.Code != 1001 {
		t.Errorf("the peer got %v, %v, want 1001", e, err)
	}
	_ = ct.peer.Close()
	if o := next(t, ct.ends); o.Kind != ending.Closed || o.By != ending.Local || o.Sent != 1001 || o.Received != 4999 {
		t.Errorf("got %v by %v, sent %d, received %d", o.Kind, o.By, o.Sent, o.Received)
	}
}

// TestCloseNowAfterReason: the handler calls CloseNow when its context has ended, before
// closeAtOnce has sent the close frame. The peer gets it.
func TestCloseNowAfterReason(t *testing.T) {
	ct := newCloseTest(t, Options{PingInterval: -1})
	c := ct.c
	done := make(chan struct{})
	end := ending.Ending{Kind: ending.Closed, By: ending.Local}
	if !c.setReasonFor(end, done) {
		t.Fatal("the first reason was refused")
	}
	c.endContext(end)
	if err := c.CloseNow(); err != net.ErrClosed {
		t.Errorf("CloseNow returned %v, want net.ErrClosed", err)
	}
	c.tr.Fail(net.ErrClosed)
	if !c.tr.TryClose(1001, "") {
		t.Error("no close frame was sent")
	}
	c.setClosed()
	close(done)
	if e, err := ct.peer.End(10 * time.Second); err != nil || e.Code != 1001 {
		t.Errorf("the peer got %v, %v, want 1001", e, err)
	}
	_ = ct.peer.Close()
	if o := next(t, ct.ends); o.Sent != 1001 {
		t.Errorf("sent %d, want 1001", o.Sent)
	}
}

// TestCrossingCloseAtOnce: the peer closes at about the time of closeAtOnce. The peer gets
// the code of the Outcome, which is the cause of the handler's context.
func TestCrossingCloseAtOnce(t *testing.T) {
	for i := range 60 {
		ct := newCloseTest(t, Options{PingInterval: -1, CloseTimeout: MaxCloseTimeout})
		closed := make(chan struct{})
		go func() {
			time.Sleep(time.Duration(i) * time.Microsecond)
			ct.c.closeAtOnce(ending.Ending{Kind: ending.Closed, By: ending.Local})
			close(closed)
		}()
		_ = ct.peer.Send(wstest.CloseFrame(4999, "theirs"))
		e, err := ct.peer.End(10 * time.Second)
		_ = ct.peer.Close()
		next(t, closed)
		o := next(t, ct.ends)
		var cause *ending.Error
		if !errors.As(context.Cause(ct.c.ctx), &cause) || cause.Kind != o.Kind || cause.Code != o.Code {
			t.Errorf("cause %v, outcome %v %d", context.Cause(ct.c.ctx), o.Kind, o.Code)
		}
		want := uint16(closeCode(o.Ending))
		if o.By == ending.Peer {
			want = 4999
		}
		if err != nil || e.Code != want || uint16(o.Sent) != want {
			t.Errorf("the peer got %v, %v; got %v, sent %d, want %d", e, err, o.Kind, o.Sent, want)
		}
	}
}
