package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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
		// A deadline for the request does not end the connection.
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), contextKey{}, "from middleware, "), 10*time.Millisecond)
		defer cancel()
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
		receive(t, p, wstest.Text, "from middleware, kept")
		return p
	}
	first, second := dial("first"), dial("second")
	defer first.Close()
	defer second.Close()
	time.Sleep(30 * time.Millisecond)
	send(t, first, wstest.TextFrame("x"))
	receive(t, first, wstest.Text, "x")
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

// hiding is typical middleware: a ResponseWriter with neither Hijack nor Unwrap.
type hiding struct{ w http.ResponseWriter }

func (h hiding) Header() http.Header         { return h.w.Header() }
func (h hiding) Write(p []byte) (int, error) { return h.w.Write(p) }
func (h hiding) WriteHeader(status int)      { h.w.WriteHeader(status) }

// failingHijack is middleware with a Hijack that relies on that of the wrapped writer.
type failingHijack struct{ http.ResponseWriter }

func (f failingHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h, ok := f.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, errors.New("hijack not supported")
	}
	return h.Hijack()
}

// unwrapping is a logger with the Unwrap method of http.ResponseController.
type unwrapping struct{ hiding }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.w }

// seeing is a logger that sees the status. It may not pass the status on, as gin does.
type seeing struct {
	unwrapping
	keeps  bool
	status *atomic.Int32
}

func (s seeing) WriteHeader(status int) {
	s.status.Store(int32(status))
	if !s.keeps {
		s.unwrapping.WriteHeader(status)
	}
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	s, err := server.New(returns(nil), server.Options{CloseTimeout: closeTimeout})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/hiding", func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(hiding{w}, r) })
	mux.HandleFunc("/unwrapping", func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(unwrapping{hiding{w}}, r) })
	var passed, kept atomic.Int32
	mux.HandleFunc("/passing", func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(seeing{unwrapping{hiding{w}}, false, &passed}, r)
	})
	mux.HandleFunc("/keeping", func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(seeing{unwrapping{hiding{w}}, true, &kept}, r)
	})
	mux.Handle("/timeout", http.TimeoutHandler(s, soon, ""))
	mux.HandleFunc("/wrapped", func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(failingHijack{w}, r) })
	mux.Handle("/failing", http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(failingHijack{w}, r) }), soon, ""))
	ts := httptest.NewServer(mux)
	defer ts.Close()
	for _, tt := range []struct {
		path   string
		status int
		says   string
	}{
		{"/hiding", 501, "server_test.hiding has no method Hijack"},
		{"/unwrapping", 101, ""},
		{"/passing", 101, ""},
		{"/keeping", 101, ""},
		{"/wrapped", 101, ""},
		{"/failing", 501, "the method Hijack of the ResponseWriter server_test.failingHijack failed: hijack not supported; "},
		{"/timeout", 501, "*http.timeoutWriter has no method Hijack"},
	} {
		target := &testServer{url: "ws" + ts.URL[len("http"):] + tt.path}
		if got, body := target.status(t, nil); got != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s: got %d %q, want %d %q", tt.path, got, body, tt.status, tt.says)
		}
	}
	if passed.Load() != 101 || kept.Load() != 101 {
		t.Errorf("the middleware saw %d and %d, want 101", passed.Load(), kept.Load())
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestRefusedIsClosed: the connection is closed after a refused handshake, under another
// http.Server too.
func TestRefusedIsClosed(t *testing.T) {
	t.Parallel()
	s, err := server.New(echoes, server.Options{MaxConns: 1, Admit: func(r *http.Request) (any, error) {
		if r.URL.Path == "/denied" {
			return nil, errors.New("no ticket")
		}
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s)
	defer ts.Close()
	url := "ws" + ts.URL[len("http"):]
	for _, tt := range []struct {
		path   string
		header http.Header
		status int
	}{
		{"/", http.Header{"Sec-WebSocket-Key": {"short"}}, 400},
		{"/", http.Header{"Origin": {"http://elsewhere.example"}}, 403},
		{"/denied", nil, 403},
		{"/", http.Header{"Upgrade": {"h2c"}, "Sec-WebSocket-Key": {}, "Sec-WebSocket-Version": {}}, 200},
	} {
		p, err := wstest.RawDial(url, wstest.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		r, _ := roundTrip(t, p, string(wstest.Request(url+tt.path, "", tt.header)))
		if r.StatusCode != tt.status || r.Close != (tt.status != 200) {
			t.Errorf("%s %v: got %d, close: %v, want %d", tt.path, tt.header, r.StatusCode, r.Close, tt.status)
		}
	}
}

// TestHTTP2: an answer over HTTP/2 has no headers that are a protocol error there, and no
// handshake is accepted.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	s, err := server.New(echoes, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, path string
		header       http.Header
		status       int
		says         string
	}{
		{"GET", "/", nil, 200, ""},
		{"GET", "/ws", nil, 426, "only a WebSocket handshake"},
		{"GET", "/", http.Header{"Sec-Websocket-Version": {"13"}}, 426, "a proxy has probably removed"},
		{"POST", "/", nil, 405, "method"},
		{"POST", "/ws", nil, 426, "only a WebSocket handshake"},
		{"CONNECT", "/", http.Header{":protocol": {"websocket"}}, 501, "HTTP/1.1"},
		{"CONNECT", "/ws", http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}}, 501, "HTTP/1.1"},
	} {
		r := httptest.NewRequest(tt.method, "https://x"+tt.path, nil)
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
		if tt.method == "POST" {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1
		}
		for name, values := range tt.header {
			r.Header[name] = values
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s %s %v: got %d %q, want %d %q", tt.method, tt.path, tt.header, w.Code, w.Body, tt.status, tt.says)
		}
		for _, name := range []string{"Connection", "Upgrade", "Keep-Alive", "Transfer-Encoding"} {
			if v := w.Header()[name]; v != nil {
				t.Errorf("%s %s: the answer has %s: %q", tt.method, tt.path, name, v)
			}
		}
	}
	ts := httptest.NewUnstartedServer(s)
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	for _, path := range []string{"/", "/ws"} {
		r, err := ts.Client().Get(ts.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.ProtoMajor != 2 || r.StatusCode != 200 && r.StatusCode != 426 {
			t.Errorf("%s: got %s %d", path, r.Proto, r.StatusCode)
		}
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
		receive(t, p, wstest.Text, "x")
		_ = p.Close()
		<-s.ends
	})
}
