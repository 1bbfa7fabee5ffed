package server_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

type contextKey struct{}

// TestMux runs a Server in another http.Server's mux, with middleware.
func TestMux(t *testing.T) {
	t.Parallel()
	ends := make(chan server.Outcome, 10)
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		if err := c.Write(ctx, websocket.MessageText, []byte(ctx.Value(contextKey{}).(string)+c.Value().(string))); err != nil {
			return err
		}
		return echoes(ctx, c)
	}, server.Options{
		CloseTimeout: closeTimeout,
		OnEnd:        func(o server.Outcome) { ends <- o },
		Admit:        func(r *http.Request) (any, error) { return r.Header.Get("X-Keep"), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	returned := make(chan string, 10)
	mux := http.NewServeMux()
	mux.HandleFunc("/ws/", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), contextKey{}, "from middleware, "))
		defer cancel()
		time.AfterFunc(10*time.Millisecond, cancel) // the end of the request does not end the connection
		s.ServeHTTP(w, r.WithContext(ctx))
		returned <- r.URL.Path
	})
	ts := httptest.NewServer(mux)
	defer ts.Close()
	url := "ws" + ts.URL[len("http"):] + "/ws/"
	dial := func(path string) *wstest.Peer {
		p, err := wstest.Dial(url+path, wstest.DialOptions{Header: http.Header{"X-Keep": {"kept"}}})
		if err != nil {
			t.Fatal(err)
		}
		hear(t, p, wstest.Text, "from middleware, kept")
		return p
	}
	first, second := dial("first"), dial("second")
	defer first.Close()
	defer second.Close()
	time.Sleep(30 * time.Millisecond)
	send(t, first, wstest.TextFrame("x"))
	hear(t, first, wstest.Text, "x")
	select {
	case path := <-returned:
		t.Errorf("ServeHTTP of %s returned before its connection ended", path)
	default:
	}
	send(t, first, wstest.CloseFrame(1000, ""))
	finish(t, first, 1000)
	_ = first.Close()
	if path := <-returned; path != "/ws/first" {
		t.Errorf("got %s", path)
	}
	wantKind(t, <-ends, ending.Normal)

	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	if e, err := second.Answer(context.Background(), wstest.AnswerOptions{}); e.Code != 1001 || err != nil {
		t.Errorf("got %v, %v", e, err)
	}
	_ = second.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantKind(t, <-ends, ending.Drained)
	if _, err := wstest.Dial(url, wstest.DialOptions{}); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("after the drain: got %v", err)
	}
}

// A logger is typical middleware: its ResponseWriter has neither Hijack nor Unwrap.
type hiding struct{ w http.ResponseWriter }

func (h hiding) Header() http.Header         { return h.w.Header() }
func (h hiding) Write(p []byte) (int, error) { return h.w.Write(p) }
func (h hiding) WriteHeader(status int)      { h.w.WriteHeader(status) }

// unwrapping is a logger with the Unwrap method of http.ResponseController.
type unwrapping struct{ hiding }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.w }

func TestMiddleware(t *testing.T) {
	t.Parallel()
	s, err := server.New(returns(nil), server.Options{CloseTimeout: closeTimeout})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/hiding", func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(hiding{w}, r) })
	mux.HandleFunc("/unwrapping", func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(unwrapping{hiding{w}}, r) })
	mux.Handle("/timeout", http.TimeoutHandler(s, soon, ""))
	ts := httptest.NewServer(mux)
	defer ts.Close()
	for path, want := range map[string]int{"/hiding": 501, "/unwrapping": 101, "/timeout": 501} {
		target := &testServer{url: "ws" + ts.URL[len("http"):] + path}
		if got, body := target.status(t, nil); got != want {
			t.Errorf("%s: got %d %q, want %d", path, got, body, want)
		}
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestKeptAlive refuses a handshake under an http.Server without timeouts. The server
// answers the next request on the connection, after the handshake timeout.
func TestKeptAlive(t *testing.T) {
	t.Parallel()
	s, err := server.New(echoes, server.Options{HandshakeTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s)
	defer ts.Close()
	p, err := wstest.RawDial("ws"+ts.URL[len("http"):], wstest.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if r, _ := roundTrip(t, p, string(wstest.Request(ts.URL, "short", nil))); r.StatusCode != 400 {
		t.Errorf("got %d", r.StatusCode)
	}
	time.Sleep(100 * time.Millisecond)
	if r, _ := roundTrip(t, p, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); r.StatusCode != 200 {
		t.Errorf("got %d", r.StatusCode)
	}
}

// A pipes is a listener of net.Pipe connections. They have no buffer, so a write waits
// for its reader.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// dial returns the client's end of a new connection.
func (l *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

// upgrade dials and performs the opening handshake.
func (l *pipes) upgrade(t *testing.T, path string) *wstest.Peer {
	t.Helper()
	p := wstest.Client(l.dial())
	t.Cleanup(func() { _ = p.Close() })
	if err := p.SendRaw(wstest.Request("ws://pipe"+path, "", nil)); err != nil {
		t.Fatal(err)
	}
	if r, err := p.ReadResponse(); err != nil || r.StatusCode != 101 {
		t.Fatalf("got %v, %v", r, err)
	}
	return p
}

// TestUnreadAnswer: the peer does not read the answer to its handshake.
func TestUnreadAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		s := serveOn(t, l, echoes, server.Options{MaxConns: 1})
		c := l.dial()
		defer c.Close()
		if _, err := c.Write(wstest.Request("ws://pipe/", "", nil)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(server.DefaultHandshakeTimeout + time.Millisecond)
		if r, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			t.Errorf("got %v after the time was over", r)
		}
		p := l.upgrade(t, "/") // the slot is free
		send(t, p, wstest.TextFrame("x"))
		hear(t, p, wstest.Text, "x")
		_ = p.Close()
		<-s.ends
	})
}
