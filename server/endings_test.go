package server_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A faulty listener accepts connections whose reads a test can make fail.
type faulty struct {
	net.Listener
	err atomic.Pointer[error]
}

type faultyConn struct {
	net.Conn
	l *faulty
}

func (l *faulty) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return faultyConn{c, l}, nil
}

func (c faultyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if e := c.l.err.Load(); e != nil && n > 0 {
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: *e}
	}
	return n, err
}

// An act causes one kind of ending.
type act struct {
	kind    ending.Kind
	name    string
	handler server.Handler // nil: an echo handler
	opts    server.Options
	tls     bool
	lose    bool // the next read fails
	cause   error
	dial    wstest.DialOptions
	do      func(t *testing.T, s *testServer, p *wstest.Peer)

	code     websocket.StatusCode // Outcome.Code
	wire     uint16               // the close code that the peer receives; 0: none
	received websocket.StatusCode
	silent   bool // the peer does not read, so the test cannot check its frames
	in, out  int64
}

var acts = []act{
	{kind: ending.Normal, do: frames(wstest.TextFrame("hi"), wstest.CloseFrame(1000, "bye")), code: 1000, wire: 1000, received: 1000, in: 1, out: 1},
	{kind: ending.Normal, name: "no code", do: frames(wstest.CloseFrame(0, "")), code: 1005, wire: wstest.NoStatus, received: 1005},
	{kind: ending.GoingAway, do: frames(wstest.CloseFrame(1001, "")), code: 1001, wire: 1001, received: 1001},
	{kind: ending.PeerCode, do: frames(wstest.CloseFrame(4999, "mine")), code: 4999, wire: 4999, received: 4999},
	{kind: ending.PeerCode, name: "1011", do: frames(wstest.CloseFrame(1011, "")), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Abnormal, do: func(t *testing.T, s *testServer, p *wstest.Peer) { _ = p.FIN() }},
	{kind: ending.Abnormal, name: "in a message", do: func(t *testing.T, s *testServer, p *wstest.Peer) {
		send(t, p, wstest.TextFrame("half").Open())
		_ = p.FIN()
	}},
	{kind: ending.Abnormal, name: "in a frame", do: func(t *testing.T, s *testServer, p *wstest.Peer) {
		_ = p.SendRaw(append(wstest.Header(0x81, true, [4]byte{}, 100, 0), "half"...))
		_ = p.FIN()
	}},
	{kind: ending.Abnormal, name: "TLS, with close_notify", tls: true, do: func(t *testing.T, s *testServer, p *wstest.Peer) { _ = p.FIN() }},
	{kind: ending.Reset, do: reset, silent: true, in: 1, out: 1},
	{kind: ending.Reset, name: "TLS", tls: true, do: reset, silent: true, in: 1, out: 1},
	{kind: ending.Lost, lose: true, cause: syscall.ETIMEDOUT, do: frames(wstest.TextFrame("hi")), silent: true},
	{kind: ending.Truncated, tls: true, do: beneath([]byte{23, 3, 3, 0, 200, 1, 2, 3}), silent: true}, // a record with a longer announced length
	{kind: ending.BadTLS, tls: true, do: beneath(append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...)), silent: true},
	{kind: ending.BadTLS, name: "no record", tls: true, do: beneath([]byte("GET / HTTP/1.1\r\n\r\n")), silent: true},
	{kind: ending.NoPong, opts: server.Options{PingInterval: 200 * time.Millisecond, MaxMissed: 1, CloseTimeout: 100 * time.Millisecond}, code: 1001, wire: 1001},
	{kind: ending.WriteStalled, opts: server.Options{WriteTimeout: 200 * time.Millisecond, PingInterval: -1},
		handler: stall, dial: wstest.DialOptions{RcvBuf: 4096}, silent: true},
	{kind: ending.Protocol, do: frames(wstest.TextFrame("x").WithRsv(wstest.RSV2)), code: 1002, wire: 1002},
	{kind: ending.InvalidUTF8, do: frames(wstest.TextFrame("\xff")), code: 1007, wire: 1007, in: 1},
	{kind: ending.InvalidUTF8, name: "in a frame that has not arrived", do: func(t *testing.T, s *testServer, p *wstest.Peer) {
		_ = p.SendRaw(append(wstest.Header(0x81, true, [4]byte{}, 1000, 0), "ok\xc0"...))
	}, code: 1007, wire: 1007},
	{kind: ending.InvalidUTF8, name: "close reason", do: frames(wstest.CloseFrame(1000, "\xff")), code: 1007, wire: 1007},
	{kind: ending.TooBig, opts: server.Options{ReadLimit: 10}, do: frames(wstest.TextFrame("0123456789a")), code: 1009, wire: 1009},
	{kind: ending.TooBig, name: "announced", opts: server.Options{ReadLimit: 10}, do: func(t *testing.T, s *testServer, p *wstest.Peer) {
		_ = p.SendRaw(wstest.Header(0x82, true, [4]byte{}, 1<<62, 64))
	}, code: 1009, wire: 1009},
	{kind: ending.TooSlow, opts: server.Options{MessageTimeout: 100 * time.Millisecond}, do: frames(wstest.TextFrame("x").Open()), code: 1008, wire: 1008},
	{kind: ending.TooSlow, name: "pings in between", opts: server.Options{MessageTimeout: 100 * time.Millisecond}, do: func(t *testing.T, s *testServer, p *wstest.Peer) {
		send(t, p, wstest.TextFrame("x").Open())
		for range 1000 {
			if p.Send(wstest.PingFrame("still here")) != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
			if s.open() == 0 {
				return
			}
		}
	}, code: 1008, wire: 1008},
	{kind: ending.Flood, do: func(t *testing.T, s *testServer, p *wstest.Peer) {
		send(t, p, wstest.TextFrame("").Open())
		empty := wstest.Frame{Masked: true}.Append(nil)
		var b []byte
		for range 2000 {
			b = append(b, empty...)
		}
		_ = p.SendRaw(b)
	}, code: 1008, wire: 1008},
	{kind: ending.NoMemory, handler: returns(&ending.Choice{Err: ending.Error{Kind: ending.NoMemory, Reason: "none left"}}), code: 1013, wire: 1013},
	{kind: ending.Done, handler: returns(nil), code: 1000, wire: 1000, received: 1000},
	{kind: ending.Closed, name: "its own code", handler: returns(fmt.Errorf("so: %w", server.CloseWith(4000, "enough"))), code: 4000, wire: 4000, received: 4000},
	{kind: ending.Failed, name: "a code that may not be sent", handler: returns(server.CloseWith(1006, "")), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Failed, handler: returns(errors.New("no")), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Failed, name: "io.EOF of its own", handler: returns(io.EOF), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Failed, name: "another connection's ending", handler: returns(&ending.Error{Kind: ending.Abnormal}), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Failed, name: "another connection's verdict", handler: returns(fmt.Errorf("upstream: %w", &heartbeat.Verdict{State: heartbeat.Dead})), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Failed, name: "another connection's own ending", handler: returns(fmt.Errorf("upstream: %w", &ending.Error{Kind: ending.InvalidUTF8})), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Failed, name: "another connection's close frame", handler: returns(websocket.CloseError{Code: 4000}), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Failed, name: "a zero Error", handler: returns(&ending.Error{}), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Failed, name: "a zero Choice", handler: returns(&ending.Choice{}), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Failed, name: "a choice of the peer's", handler: returns(&ending.Choice{Err: ending.Error{Kind: ending.Normal, Code: 1000}}), code: 1011, wire: 1011, received: 1011},
	{kind: ending.Panicked, handler: func(context.Context, *server.Conn) error { panic("oh") }, code: 1011, wire: 1011, received: 1011},
	{kind: ending.Panicked, name: "Goexit", handler: func(context.Context, *server.Conn) error { runtime.Goexit(); return nil }, code: 1011, wire: 1011, received: 1011},
	{kind: ending.Drained, do: func(t *testing.T, s *testServer, p *wstest.Peer) { go func() { _ = s.stop() }() }, code: 1001, wire: 1001, received: 1001},
	{kind: ending.Aged, opts: server.Options{MaxAge: 30 * time.Millisecond}, code: 1001, wire: 1001, received: 1001},
	{kind: ending.Idle, opts: server.Options{IdleTimeout: 30 * time.Millisecond}, code: 1001, wire: 1001, received: 1001},
	{kind: ending.Closed, name: "Close", handler: func(ctx context.Context, c *server.Conn) error {
		if err := c.Close(3000, "enough"); err != nil {
			return err
		}
		return readAll(ctx, c)
	}, code: 3000, wire: 3000, received: 3000},
	{kind: ending.Closed, name: "CloseNow", handler: func(ctx context.Context, c *server.Conn) error {
		if err := c.CloseNow(); err != nil {
			return err
		}
		return readAll(ctx, c)
	}},
	{kind: ending.Closed, name: "cancelled context", handler: func(ctx context.Context, c *server.Conn) error {
		readCtx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		return readAll(readCtx, c)
	}, wire: 1001},
	{kind: ending.Closed, name: "deadline", handler: func(ctx context.Context, c *server.Conn) error {
		readCtx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		return readAll(readCtx, c)
	}, wire: 1001},
	{kind: ending.Unknown, lose: true, cause: syscall.EIO, do: frames(wstest.TextFrame("hi")), silent: true},
	{kind: ending.Failed, name: "the message before was not read", handler: func(ctx context.Context, c *server.Conn) error {
		for {
			if _, _, err := c.Reader(ctx); err != nil {
				return err
			}
		}
	}, do: frames(wstest.TextFrame("a"), wstest.TextFrame("b")), code: 1011, wire: 1011, received: 1011, in: 2},
	{kind: ending.PeerCode, name: "inside a compressed message", opts: server.Options{Compression: websocket.CompressionContextTakeover},
		dial: wstest.DialOptions{Extensions: "permessage-deflate"},
		do:   frames(wstest.BinaryFrame([]byte{0xf2}).WithRsv(wstest.RSV1).Open(), wstest.CloseFrame(4000, "enough")),
		code: 4000, wire: 4000, received: 4000},
	{kind: ending.Protocol, name: "compressed data cut short", opts: server.Options{Compression: websocket.CompressionNoContextTakeover},
		dial: wstest.DialOptions{Extensions: "permessage-deflate"},
		do:   frames(wstest.BinaryFrame([]byte{0xf2, 0x48}).WithRsv(wstest.RSV1)),
		code: 1007, wire: 1007, in: 1},
}

func frames(f ...wstest.Frame) func(*testing.T, *testServer, *wstest.Peer) {
	return func(t *testing.T, s *testServer, p *wstest.Peer) { send(t, p, f...) }
}

// beneath writes b on the TCP connection under TLS, then FIN.
func beneath(b []byte) func(*testing.T, *testServer, *wstest.Peer) {
	return func(t *testing.T, s *testServer, p *wstest.Peer) {
		_, _ = p.NetConn().(*tls.Conn).NetConn().Write(b)
		_ = p.CutTLS()
	}
}

// reset resets the connection after an echo. An earlier reset might reach net/http, before
// the connection is hijacked.
func reset(t *testing.T, s *testServer, p *wstest.Peer) {
	send(t, p, wstest.TextFrame("hi"))
	receive(t, p, wstest.Text, "hi")
	_ = p.RST()
}

func returns(err error) server.Handler {
	return func(context.Context, *server.Conn) error { return err }
}

// stall writes until it fails.
func stall(ctx context.Context, c *server.Conn) error {
	for p := make([]byte, 1<<20); ; {
		if err := c.Write(ctx, websocket.MessageBinary, p); err != nil {
			return err
		}
	}
}

// TestEndings causes every kind of ending and checks it on both sides.
func TestEndings(t *testing.T) {
	t.Parallel()
	all := acts
	for _, a := range acts { // the same endings of parked connections
		if a.handler == nil {
			a.opts.ParkAfter = shortParkAfter
			a.name += ", parked"
			all = append(all, a)
		}
	}
	for _, a := range all {
		t.Run(a.kind.String()+"/"+a.name, func(t *testing.T) {
			t.Parallel()
			handler := a.handler
			if handler == nil {
				handler = echoes
			}
			// No test waits for this timeout, and a busy machine needs it.
			a.opts.CloseTimeout = cmp.Or(a.opts.CloseTimeout, server.MaxCloseTimeout)
			var s *testServer
			switch {
			case a.tls:
				s = serveTLS(t, handler, a.opts)
			case a.lose:
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				broken := &faulty{Listener: l}
				s = serveOn(t, broken, handler, a.opts)
				do := a.do
				a.do = func(t *testing.T, s *testServer, p *wstest.Peer) {
					broken.err.Store(&a.cause)
					do(t, s, p)
				}
			default:
				s = serve(t, handler, a.opts)
			}
			p := s.dial(t, a.dial)
			if a.do != nil {
				a.do(t, s, p)
			}
			if !a.silent {
				answer := wstest.AnswerOptions{NoPong: a.kind == ending.NoPong, NoClose: a.received == 0}
				ctx, cancel := context.WithTimeout(context.Background(), soon)
				defer cancel()
				e, err := p.Answer(ctx, answer)
				if err != nil || e.Code != a.wire || !e.FIN && a.name != "CloseNow" {
					t.Errorf("the peer got %v, %v, want code %d and FIN", e, err, a.wire)
				}
				if e.After > 5*time.Second {
					t.Errorf("it took %v", e.After)
				}
				_ = p.Close()
			}
			o := s.end(t)
			wantKind(t, o, a.kind)
			if o.By != a.kind.By() {
				t.Errorf("by: got %v, want %v", o.By, a.kind.By())
			}
			if a.kind == ending.Unknown {
				return
			}
			if o.Code != a.code || o.Received != a.received || uint16(o.Sent) != a.wire {
				t.Errorf("got code %d, sent %d, received %d, want %d, %d, %d", o.Code, o.Sent, o.Received, a.code, a.wire, a.received)
			}
			if a.kind != ending.WriteStalled && (o.MessagesIn != a.in || o.MessagesOut != a.out) {
				t.Errorf("messages: got %d in, %d out, want %d, %d", o.MessagesIn, o.MessagesOut, a.in, a.out)
			}
			if o.Ended.Before(o.Since) || o.LastReceived.IsZero() || o.RemoteAddr == "" || o.Host == "" || o.URI != "/" {
				t.Errorf("got %+v", o)
			}
			eventually(t, "the connection is no longer listed", func() bool { return s.open() == 0 })
		})
	}
}

// TestEveryKind fails if a kind has no row in TestEndings.
func TestEveryKind(t *testing.T) {
	have := make(map[ending.Kind]bool)
	for _, a := range acts {
		have[a.kind] = true
	}
	for _, k := range ending.Kinds() {
		if !have[k] {
			t.Errorf("no test causes %v", k)
		}
	}
}
