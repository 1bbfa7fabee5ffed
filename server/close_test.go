package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// A closeTest is a server whose handler reads to the end, with one connection.
type closeTest struct {
	c    *Conn
	peer *wstest.Peer
	read chan error     // the error of the handler, which is that of its last read
	gone chan time.Time // when the handler's context ended
	ends chan Outcome
	lag  *testfull.Lag
}

func newCloseTest(t *testing.T, o Options) *closeTest { return newCloseTestOn(t, o, nil, false) }

// newCloseTestOn is newCloseTest over TLS if secure is true. The server's sockets are those
// that wrap returns; nil: as they are.
func newCloseTestOn(t *testing.T, o Options, wrap func(net.Conn) net.Conn, secure bool) *closeTest {
	t.Helper()
	lag := testfull.MeasureLag(t)
	ct := newCloseTestWith(t, o, wrap, secure, readAll)
	ct.lag = lag
	return ct
}

// readAll is a handler that reads to the end.
func readAll(ctx context.Context, c *Conn) error {
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
	}
}

// newCloseTestWith is newCloseTestOn with a handler, and without a lag.
func newCloseTestWith(t *testing.T, o Options, wrap func(net.Conn) net.Conn, secure bool, h Handler) *closeTest {
	t.Helper()
	ct := &closeTest{read: make(chan error, 1), gone: make(chan time.Time, 1), ends: make(chan Outcome, 1)}
	o.OnEnd = func(end Outcome) { ct.ends <- end }
	conns := make(chan *Conn, 1)
	s, err := New(func(ctx context.Context, c *Conn) error {
		context.AfterFunc(ctx, func() { ct.gone <- time.Now() })
		conns <- c
		err := h(ctx, c)
		ct.read <- err
		return err
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url, dial := "ws://"+l.Addr().String()+"/", wstest.DialOptions{}
	if wrap != nil {
		l = wrapListener{l, wrap}
	}
	if secure {
		var config *tls.Config
		config, dial.TLS = wstest.TLS()
		l, url = tls.NewListener(l, config), "wss"+strings.TrimPrefix(url, "ws")
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	ct.peer, err = wstest.Dial(url, dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ct.peer.Close() })
	ct.c = <-conns
	return ct
}

// next returns the next value of ch. It fails the test after 10 seconds.
func next[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing within 10 s")
	}
	return v
}

// TestFirstReason: the first reason moves a connection from open to closing and stays.
func TestFirstReason(t *testing.T) {
	ct := newCloseTest(t, Options{PingInterval: -1})
	c := ct.c
	if got := state(c.state.Load()); got != stateOpen || c.isClosing() {
		t.Fatalf("state %d at the beginning", got)
	}
	if !c.setReason(ending.Ending{Kind: ending.Aged, Code: websocket.StatusGoingAway, Reason: "first", By: ending.Local}) {
		t.Fatal("the first reason was refused")
	}
	if got := state(c.state.Load()); got != stateClosing || !c.isClosing() {
		t.Fatalf("state %d after a reason", got)
	}
	if c.setReason(ending.Ending{Kind: ending.Done}) || c.startClose(ending.Ending{Kind: ending.Done}) {
		t.Error("a second reason was accepted")
	}
	if c.Close(websocket.StatusNormalClosure, "") != net.ErrClosed || c.CloseNow() != net.ErrClosed {
		t.Error("Close or CloseNow has closed a connection that has a reason")
	}
	c.setClosed()
	if o := next(t, ct.ends); o.Kind != ending.Aged || o.Reason != "first" {
		t.Errorf("outcome %v %q, want the first reason", o.Kind, o.Reason)
	}
}

// TestClosed: the transition to closed ends the handler's context. Its cause is the
// reason. A second transition changes nothing.
func TestClosed(t *testing.T) {
	ct := newCloseTest(t, Options{PingInterval: -1})
	c := ct.c
	c.setReason(ending.Ending{Kind: ending.Aged, Code: websocket.StatusGoingAway, Reason: "why", By: ending.Local, Cause: io.ErrNoProgress})
	if c.ctx.Err() != nil {
		t.Error("the handler's context ended before the connection was closed")
	}
	for range 2 {
		c.setClosed()
		if got := state(c.state.Load()); got != stateClosed {
			t.Fatalf("state %d", got)
		}
		var e *ending.Error
		if cause := context.Cause(c.ctx); !errors.As(cause, &e) || e.Kind != ending.Aged || e.Code != websocket.StatusGoingAway ||
			e.Reason != "why" || !errors.Is(e, io.ErrNoProgress) {
			t.Errorf("cause %#v, want the reason", cause)
		}
	}
	if c.setReason(ending.Ending{Kind: ending.Done}) {
		t.Error("a closed connection has accepted a reason")
	}
	c.tr.Abort()
	next(t, ct.ends)
}

// TestCause: the cause of the handler's context is the *ending.Error that the Outcome
// reports. The test tries each way in which a connection ends.
func TestCause(t *testing.T) {
	for name, test := range map[string]struct {
		opts Options
		end  func(*closeTest)
		kind ending.Kind
	}{
		"Close":    {Options{}, func(ct *closeTest) { go func() { _ = ct.c.Close(4000, "over") }() }, ending.Closed},
		"CloseNow": {Options{}, func(ct *closeTest) { _ = ct.c.CloseNow() }, ending.Closed},
		"peer":     {Options{}, func(ct *closeTest) { _ = ct.peer.Send(wstest.CloseFrame(1001, "bye")) }, ending.GoingAway},
		"FIN":      {Options{}, func(ct *closeTest) { _ = ct.peer.FIN() }, ending.Abnormal},
		"age":      {Options{MaxAge: 20 * time.Millisecond}, func(*closeTest) {}, ending.Aged},
		"no pong":  {Options{PingInterval: 400 * time.Millisecond, MaxMissed: -1}, func(*closeTest) {}, ending.NoPong},
		"bad":      {Options{}, func(ct *closeTest) { _ = ct.peer.SendRaw([]byte{0x83, 0x80}) }, ending.Protocol},
		"cut off":  {Options{}, func(ct *closeTest) { ct.c.cutOff() }, ending.Drained},
	} {
		t.Run(name, func(t *testing.T) {
			if test.opts.PingInterval == 0 {
				test.opts.PingInterval = -1
			}
			ct := newCloseTest(t, test.opts)
			test.end(ct)
			if test.kind != ending.NoPong {
				go func() {
					_, _ = ct.peer.Answer(t.Context(), wstest.AnswerOptions{})
					_ = ct.peer.Close()
				}()
			}
			next(t, ct.gone)
			var e *ending.Error
			if !errors.As(context.Cause(ct.c.ctx), &e) {
				t.Fatalf("cause %v, want an *ending.Error", context.Cause(ct.c.ctx))
			}
			o := next(t, ct.ends)
			if e.Kind != test.kind || o.Kind != e.Kind || o.Code != e.Code || o.Reason != e.Reason {
				t.Errorf("cause %v %d %q, outcome %v %d %q, want kind %v", e.Kind, e.Code, e.Reason, o.Kind, o.Code, o.Reason, test.kind)
			}
		})
	}
}

// TestCorrectReason: this side has a reason, but coder answers the peer's close frame
// before this side's close frame is sent. The peer's frame is the reason then.
func TestCorrectReason(t *testing.T) {
	ct := newCloseTest(t, Options{PingInterval: -1})
	c := ct.c
	c.setReason(ending.Ending{Kind: ending.Closed, Code: 3001, Reason: "ours", By: ending.Local})
	c.correctReason()
	if c.reason.Code != 3001 {
		t.Fatalf("corrected to %d without a close frame of the peer", c.reason.Code)
	}
	if err := ct.peer.Send(wstest.CloseFrame(4999, "theirs")); err != nil {
		t.Fatal(err)
	}
	f, err := ct.peer.Recv()
	if err != nil || f.Opcode != wstest.Close || string(f.Payload) != "\x13\x87theirs" {
		t.Fatalf("the peer got %v, %v, want an answer to 4999", f, err)
	}
	_ = ct.peer.Close()
	next(t, ct.read)
	c.correctReason()
	c.setClosed()
	o := next(t, ct.ends)
	if o.Kind != ending.PeerCode || o.By != ending.Peer || o.Code != 4999 || o.Sent != 4999 || o.Received != 4999 {
		t.Errorf("got %v by %v, code %d, sent %d, received %d, want the peer's close frame", o.Kind, o.By, o.Code, o.Sent, o.Received)
	}
}

// TestCorrectReasonClosed: the cause of the handler's context is final when c is closed.
// So the peer's close frame does not replace the reason.
func TestCorrectReasonClosed(t *testing.T) {
	ct := newCloseTest(t, Options{PingInterval: -1})
	c := ct.c
	c.setReason(ending.Ending{Kind: ending.Closed, Code: 3001, Reason: "ours", By: ending.Local})
	if err := ct.peer.Send(wstest.CloseFrame(4999, "theirs")); err != nil {
		t.Fatal(err)
	}
	if _, err := ct.peer.Recv(); err != nil {
		t.Fatal(err)
	}
	_ = ct.peer.Close()
	next(t, ct.read)
	c.cutOff() // the end of a drain, for one
	c.correctReason()
	o := next(t, ct.ends)
	var e *ending.Error
	if !errors.As(context.Cause(c.ctx), &e) || o.Kind != e.Kind || o.Code != e.Code || o.Code != 3001 {
		t.Errorf("cause %v, outcome %v, code %d", context.Cause(c.ctx), o.Kind, o.Code)
	}
}

// A wrapListener wraps what it accepts.
type wrapListener struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l wrapListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}
