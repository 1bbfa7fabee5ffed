package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/socket"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// blocking are the calls that may wait for the peer or for another call.
var blocking = []struct {
	name string
	call func(context.Context, *server.Conn)
}{
	{"Read", func(ctx context.Context, c *server.Conn) { _, _, _ = c.Read(ctx) }},
	{"Write", func(ctx context.Context, c *server.Conn) { _ = c.Write(ctx, websocket.MessageText, []byte("x")) }},
	{"Writer", func(ctx context.Context, c *server.Conn) { _, _ = c.Writer(ctx, websocket.MessageText) }},
	{"Ping", func(ctx context.Context, c *server.Conn) { _ = c.Ping(ctx) }},
	{"Close", func(ctx context.Context, c *server.Conn) { _ = c.Close(1000, "") }},
	{"CloseNow", func(ctx context.Context, c *server.Conn) { _ = c.CloseNow() }},
}

// large is more than the buffers of a socket accept.
var large = bytes.Repeat([]byte("x"), 32<<20)

// A blockedConn is a connection on which two calls wait.
type blockedConn struct {
	*server.Conn
	peer *wstest.Peer
}

// TestEndWakesCalls: while one goroutine has an open Writer, two others wait in any two
// calls. Each ending wakes them.
func TestEndWakesCalls(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		opts server.Options
		end  func(t *testing.T, s *testServer, w blockedConn) // nil: the server ends it
	}{
		{name: "close frame and FIN", end: func(t *testing.T, _ *testServer, w blockedConn) {
			_ = w.peer.Send(wstest.CloseFrame(1000, "")) // fails if the calls have closed
			_ = w.peer.FIN()
		}},
		{name: "FIN", end: func(t *testing.T, _ *testServer, w blockedConn) { _ = w.peer.FIN() }},
		{name: "RST", end: func(t *testing.T, _ *testServer, w blockedConn) { _ = w.peer.RST() }},
		{name: "violation and FIN", end: func(t *testing.T, _ *testServer, w blockedConn) {
			_ = w.peer.SendRaw([]byte{0xff, 0xff})
			_ = w.peer.FIN()
		}},
		{name: "Close", end: func(t *testing.T, _ *testServer, w blockedConn) { go w.Close(1001, "") }},
		{name: "CloseNow", end: func(t *testing.T, _ *testServer, w blockedConn) { _ = w.CloseNow() }},
		{name: "drain", end: func(t *testing.T, s *testServer, _ blockedConn) { go s.stop() }},
		{name: "cut", opts: server.Options{DrainNotice: time.Minute, DrainTimeout: time.Hour}, end: func(t *testing.T, s *testServer, _ blockedConn) { go s.stop() }},
		{name: "age", opts: server.Options{MaxAge: 200 * time.Millisecond}},
		{name: "idle", opts: server.Options{IdleTimeout: 200 * time.Millisecond}},
		{name: "no pong", opts: server.Options{PingInterval: 100 * time.Millisecond, MaxMissed: -1}},
		{name: "return", end: func(*testing.T, *testServer, blockedConn) {}},
		{name: "panic", end: func(*testing.T, *testServer, blockedConn) {}},
		{name: "write stalled", opts: server.Options{WriteTimeout: 100 * time.Millisecond, PingInterval: -1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var calls sync.WaitGroup
			conns := make(chan *server.Conn)
			s := serve(t, func(ctx context.Context, c *server.Conn) error {
				u, err := url.Parse(c.Info().URI)
				if err != nil {
					return err
				}
				w, err := c.Writer(ctx, websocket.MessageText)
				if err != nil { // on a busy machine the connection has ended before
					conns <- c
					return err
				}
				_, _ = w.Write([]byte("open"))
				var two sync.WaitGroup
				for _, name := range u.Query()["call"] {
					for _, b := range blocking {
						if b.name == name {
							calls.Add(1)
							two.Go(func() { defer calls.Done(); b.call(ctx, c) })
						}
					}
				}
				conns <- c
				switch test.name {
				case "return":
					return nil
				case "panic":
					panic("on purpose")
				case "write stalled":
					_, _ = w.Write(large)
				}
				done := make(chan struct{})
				go func() { two.Wait(); close(done) }()
				select {
				case <-done:
				case <-time.After(3 * soon): // the other connections begin meanwhile
					t.Errorf("%s: a call has not returned", u.RawQuery)
				}
				return nil
			}, test.opts)
			if test.name == "cut" {
				s.SetDrainTimeout(100 * time.Millisecond)
			}
			var all []blockedConn
			for _, a := range blocking {
				for _, b := range blocking {
					if a.name == "Read" && b.name == "Read" {
						continue // one goroutine at a time may read
					}
					if test.name == "no pong" && a.name != "Read" && b.name != "Read" {
						continue // there is no verdict while no read waits
					}
					p, err := wstest.Dial(s.url+"?call="+a.name+"&call="+b.name, wstest.DialOptions{})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = p.Close() })
					all = append(all, blockedConn{<-conns, p})
				}
			}
			for _, w := range all {
				if test.end != nil {
					test.end(t, s, w)
				}
			}
			for range all {
				s.end(t)
			}
			calls.Wait()
		})
	}
}

// TestStreamEnds: the end of the stream is found also if the handler does not read. Then it
// waits for something else, or writes to a peer that reads nothing.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	handlers := map[string]server.Handler{
		"waits": func(ctx context.Context, c *server.Conn) error { <-ctx.Done(); return context.Cause(ctx) },
		"writes": func(ctx context.Context, c *server.Conn) error {
			for {
				if err := c.Write(ctx, websocket.MessageBinary, large[:1<<20]); err != nil {
					return err
				}
			}
		},
		"keeps a writer": func(ctx context.Context, c *server.Conn) error {
			w, err := c.Writer(ctx, websocket.MessageText)
			if err == nil {
				_, err = io.WriteString(w, "open")
			}
			<-ctx.Done()
			return err
		},
		"has read a part": func(ctx context.Context, c *server.Conn) error {
			_, r, err := c.Reader(ctx)
			if err != nil {
				return err
			}
			_, _ = io.ReadFull(r, make([]byte, 1))
			<-ctx.Done()
			if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Errorf("a read after the end: got %v", err)
			}
			return nil
		},
	}
	for name, h := range handlers {
		for _, test := range []struct {
			name string
			end  func(p *wstest.Peer) error
			kind ending.Kind
		}{
			{"close frame", func(p *wstest.Peer) error { return p.Send(wstest.CloseFrame(1000, "bye")) }, ending.Normal},
			{"1001 behind a message", func(p *wstest.Peer) error {
				return p.Send(wstest.TextFrame("unread"), wstest.CloseFrame(1001, ""))
			}, ending.GoingAway},
			{"FIN", func(p *wstest.Peer) error { return nil }, ending.Abnormal},
			{"FIN behind a message", func(p *wstest.Peer) error { return p.Send(wstest.TextFrame("unread")) }, ending.Abnormal},
			{"RST", func(p *wstest.Peer) error { return p.RST() }, ending.Reset},
		} {
			for _, network := range []string{"tcp", "unix"} {
				if network == "unix" && (!socket.HaveQueue || test.kind == ending.Reset) {
					continue // the end is found only on Linux, and a unix socket has no RST
				}
				t.Run(name+"/"+test.name+"/"+network, func(t *testing.T) {
					t.Parallel()
					// A second is promised. A busy machine may need longer, but not each time.
					for tries := 3; ; tries-- {
						d := endOfStream(t, network, h, test.end, test.kind)
						if d < 2*time.Second {
							break
						}
						if tries == 1 {
							t.Fatalf("found after %v, want a second at most", d)
						}
					}
				})
			}
		}
	}
}

// endOfStream ends the stream of a new connection, and returns the time until the server
// has found it.
func endOfStream(t *testing.T, network string, h server.Handler, end func(p *wstest.Peer) error, kind ending.Kind) time.Duration {
	t.Helper()
	started := make(chan struct{})
	l, dial := listen(t), wstest.DialOptions{}
	if network == "unix" {
		_ = l.Close()
		l, dial = listenUnix(t)
	}
	s := serveOn(t, l, func(ctx context.Context, c *server.Conn) error {
		close(started)
		return h(ctx, c)
	}, server.Options{WriteTimeout: time.Hour, PingInterval: -1})
	p := s.dial(t, dial)
	<-started
	send(t, p, wstest.TextFrame("first"))
	if err := end(p); err != nil {
		t.Fatal(err)
	}
	if kind != ending.Reset {
		if err := p.FIN(); err != nil {
			t.Fatal(err)
		}
	}
	ended := time.Now()
	o := s.end(t)
	wantKind(t, o, kind)
	return o.Ended.Sub(ended)
}

// listenUnix listens on a unix socket. The options dial it.
func listenUnix(t *testing.T) (net.Listener, wstest.DialOptions) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Skip("this system has no unix sockets: ", err)
	}
	return l, wstest.DialOptions{Dial: func(string, string) (net.Conn, error) { return net.Dial("unix", l.Addr().String()) }}
}

// A plainListener accepts connections of which no more is known than that they are a
// net.Conn.
type plainListener struct{ net.Listener }

func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// TestStreamEndsPlain: over a transport of unknown kind, a ping that fails shows the end
// of the stream. The handler does not read.
func TestStreamEndsPlain(t *testing.T) {
	t.Parallel()
	l, dial := listenUnix(t)
	s := serveOn(t, plainListener{l}, func(ctx context.Context, c *server.Conn) error { <-ctx.Done(); return nil },
		server.Options{PingInterval: 100 * time.Millisecond, MaxMissed: 100})
	p := s.dial(t, dial)
	send(t, p, wstest.TextFrame("unread"), wstest.CloseFrame(1000, ""))
	_ = p.Close()
	wantKind(t, s.end(t), ending.Normal)
}

// TestStreamEndsTLS is TestStreamEnds over TLS, where only Linux reports the end.
func TestStreamEndsTLS(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, func(ctx context.Context, c *server.Conn) error { <-ctx.Done(); return nil }, server.Options{PingInterval: -1})
	p := s.dial(t, wstest.DialOptions{})
	send(t, p, wstest.CloseFrame(1000, ""))
	_ = p.Close()
	wantKind(t, s.end(t), ending.Normal)
}

// TestCloseRead: a handler that only writes detects the end of the connection at once. A
// pong reaches Ping, and a message ends the connection.
func TestCloseRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		do   func(t *testing.T, p *wstest.Peer, cancel func())
		kind ending.Kind
		code websocket.StatusCode
	}{
		{"close frame", func(t *testing.T, p *wstest.Peer, _ func()) { send(t, p, wstest.CloseFrame(1000, "")) }, ending.Normal, 1000},
		{"FIN", func(t *testing.T, p *wstest.Peer, _ func()) { _ = p.FIN() }, ending.Abnormal, 0},
		{"message", func(t *testing.T, p *wstest.Peer, _ func()) { send(t, p, wstest.TextFrame("x")) }, ending.Closed, 1008},
		{"context", func(t *testing.T, p *wstest.Peer, cancel func()) { cancel() }, ending.Closed, 0},
	} {
		for _, own := range []bool{false, true} {
			if own && test.name == "context" {
				continue
			}
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				parent, cancel := context.WithCancel(context.Background())
				defer cancel()
				ponged := make(chan error, 1)
				s := serve(t, func(ctx context.Context, c *server.Conn) error {
					handler := ctx
					if !own {
						ctx = parent
					}
					ctx = c.CloseRead(ctx)
					if again := c.CloseRead(ctx); again.Err() != nil {
						t.Error("the second context has ended")
					}
					ponged <- c.Ping(ctx)
					<-ctx.Done()
					<-handler.Done()
					return nil
				}, server.Options{PingInterval: -1})
				p := s.dial(t, wstest.DialOptions{})
				f, err := p.Recv()
				if err != nil {
					t.Fatal(err)
				}
				send(t, p, wstest.PongFrame(string(f.Payload)))
				if err := <-ponged; err != nil {
					t.Errorf("Ping: %v", err)
				}
				test.do(t, p, cancel)
				go p.End(soon)
				o := s.end(t)
				if wantKind(t, o, test.kind); test.code != 0 && o.Code != test.code {
					t.Errorf("got code %d, want %d", o.Code, test.code)
				}
			})
		}
	}
}

// TestContextEnded: a call whose context has ended returns its error, and the connection
// stays open.
func TestContextEnded(t *testing.T) {
	t.Parallel()
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		over, cancel := context.WithCancel(ctx)
		cancel()
		_, _, err := c.Read(over)
		wantContextError(t, "Read", err)
		_, _, err = c.Reader(over)
		wantContextError(t, "Reader", err)
		wantContextError(t, "Write", c.Write(over, websocket.MessageText, []byte("no")))
		_, err = c.Writer(over, websocket.MessageText)
		wantContextError(t, "Writer", err)
		wantContextError(t, "Ping", c.Ping(over))
		return c.Write(ctx, websocket.MessageText, []byte("yes"))
	}, server.Options{})
	p := s.dial(t, wstest.DialOptions{})
	receive(t, p, wstest.Text, "yes")
	finish(t, p, 1000)
	wantKind(t, s.end(t), ending.Done)
}

func wantContextError(t *testing.T, call string, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%s: got %v, want the error of the context", call, err)
	}
}

// TestContextWrite: a Write that waits for the peer returns soon after its context ends,
// whatever the close timeout.
func TestContextWrite(t *testing.T) {
	t.Parallel()
	returned := make(chan time.Duration, 1)
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := c.Write(ctx, websocket.MessageBinary, large)
		if err == nil {
			t.Error("the write has succeeded")
		}
		returned <- time.Since(start)
		return err
	}, server.Options{CloseTimeout: server.MaxCloseTimeout})
	p := s.dial(t, wstest.DialOptions{})
	if d := <-returned; d > server.MaxCloseTimeout/2 {
		t.Errorf("the write returned after %v, want about 100ms", d)
	}
	_ = p.Close()
	wantKind(t, s.end(t), ending.Closed)
}
