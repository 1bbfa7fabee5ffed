package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestStubbornHandlers has handlers that do not read, do not return, or both.
func TestStubbornHandlers(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		if c.Info().URI == "/never" {
			<-release
			return nil
		}
		<-ctx.Done() // computes, and reads nothing
		return nil
	}, server.Options{DrainTimeout: 300 * time.Millisecond, CloseTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	for _, path := range []string{"/computes", "/never"} {
		p, err := wstest.Dial("ws://"+l.Addr().String()+path, wstest.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
	}
	start := time.Now()
	cancel()
	if err := <-served; err == nil || !strings.Contains(err.Error(), "1 handlers have not returned") {
		t.Errorf("Serve: got %v", err)
	}
	if d := time.Since(start); d > soon/2 {
		t.Errorf("it took %v", d)
	}
	close(release)
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown after that: %v", err)
	}
	if n := (&testServer{Server: s}).open(); n != 0 {
		t.Errorf("%d are open", n)
	}
}

// TestDrainRace dials while the server drains. An accepted connection receives 1001.
func TestDrainRace(t *testing.T) {
	t.Parallel()
	for range 5 {
		s := serveOn(t, listenAlone(t), echoes, server.Options{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				p, err := wstest.Dial(s.url, wstest.DialOptions{})
				if err != nil {
					return // refused with 503, or by the closed listener
				}
				e, err := p.Answer(context.Background(), wstest.AnswerOptions{})
				if err != nil || e.Code != 1001 {
					t.Errorf("got %v, %v", e, err)
				}
				_ = p.Close()
			})
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if n := s.open(); n != 0 {
			t.Errorf("%d are open", n)
		}
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(context.Background())
	cancel()
	t.Run("without connections", func(t *testing.T) {
		for range 50 { // a select may choose either case
			s, err := server.New(echoes, server.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Shutdown(over); err != nil {
				t.Errorf("nothing was cut: got %v", err)
			}
		}
	})
	t.Run("twice, with contexts that are over", func(t *testing.T) {
		s := serveOn(t, listenAlone(t), echoes, server.Options{DrainDelay: time.Hour})
		for range 3 {
			s.dial(t, wstest.DialOptions{})
		}
		start := time.Now()
		if err := s.Shutdown(over); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "cut") {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d > soon/2 {
			t.Errorf("it took %v", d)
		}
		for range 3 {
			wantKind(t, s.end(t), ending.Drained)
		}
		if err := s.Shutdown(over); err != nil {
			t.Errorf("again: %v", err)
		}
		if err := s.stop(); err != nil {
			t.Errorf("Serve: got %v", err)
		}
		if p, err := wstest.Dial(s.url, wstest.DialOptions{}); err == nil {
			_ = p.Close()
			t.Error("the server still accepts")
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(context.Background(), l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve after a drain: got %v", err)
		}
	})
	t.Run("at once", func(t *testing.T) {
		s := serve(t, echoes, server.Options{})
		for range 3 {
			p := s.dial(t, wstest.DialOptions{})
			go func() { _, _ = p.Answer(context.Background(), wstest.AnswerOptions{}); _ = p.Close() }()
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := s.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// TestShutdownEndsServe: Shutdown closes the listener of a Serve and ends it. The server
// does not serve again.
func TestShutdownEndsServe(t *testing.T) {
	t.Parallel()
	s, err := server.New(echoes, server.Options{CloseTimeout: closeTimeout})
	if err != nil {
		t.Fatal(err)
	}
	l := listenAlone(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), l) }()
	p, err := wstest.Dial("ws://"+l.Addr().String()+"/", wstest.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	finish(t, p, 1001)
	for name, got := range map[string]chan error{"Shutdown": down, "Serve": served} {
		select {
		case err := <-got:
			if err != nil {
				t.Errorf("%s: got %v, want nil", name, err)
			}
		case <-time.After(soon):
			t.Fatalf("%s has not returned", name)
		}
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("the listener is still open")
	}
	for range 2 {
		l := listen(t)
		if err := s.Serve(context.Background(), l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve after Shutdown: got %v, want http.ErrServerClosed", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve after Shutdown: its listener is open")
		}
	}
}

// TestDrainPending: connections inside a request do not prolong a drain. Otherwise
// net/http would wait for up to five seconds.
func TestDrainPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const body = "Content-Length: 100\r\n\r\n"
		l := newPipes()
		page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/page" {
				server.ServePlain(w, r)
				return
			}
			_, _ = w.Write(make([]byte, 64<<10)) // net/http has a buffer of 2 KiB
		})
		s := serveOn(t, l, echoes, server.Options{HandshakeTimeout: time.Hour, HTTP: page})
		for _, request := range []string{
			"",
			"GET / HT",
			"OPTIONS * HTTP/1.1\r\nHost: x\r\n" + body,
			"POST / HTTP/1.1\r\nHost: x\r\n" + body,
			"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
			"POST /ws HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + body,
			"POST / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n" + body,
			"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + body,
			"GET /page HTTP/1.1\r\nHost: x\r\n" + body,
			"HEAD /page HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
			"GET /page HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + body,
		} {
			c := l.dial()
			defer c.Close()
			var received atomic.Int64
			go func() {
				for p := make([]byte, 4<<10); ; {
					n, err := c.Read(p)
					if received.Add(int64(n)); err != nil {
						return
					}
				}
			}()
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n := received.Load(); n < 50 && len(request) > len("GET / HT") || n < 64<<10 && strings.HasPrefix(request, "GET /page") {
				t.Errorf("%q: got %d bytes, want the answer", request, n)
			}
		}
		start := time.Now()
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("the drain took %v", d)
		}
	})
}

// TestListenerFails: Serve drains and returns the listener's error.
func TestListenerFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	failing := &failing{Listener: l, fail: make(chan struct{})}
	s := serveOn(t, failing, echoes, server.Options{})
	p := s.dial(t, wstest.DialOptions{})
	close(failing.fail)
	_ = l.Close()
	finish(t, p, 1001)
	wantKind(t, s.end(t), ending.Drained)
	if err := s.stop(); !errors.Is(err, errExpected) {
		t.Errorf("got %v", err)
	}
}

// TestListenerFailsBesideRequest: Serve answers a plain HTTP request that began before the
// listener failed and the context of Serve ended.
func TestListenerFailsBesideRequest(t *testing.T) {
	t.Parallel()
	l := &failing{Listener: listen(t), fail: make(chan struct{})}
	begun, release := make(chan struct{}), make(chan struct{})
	s, err := server.New(echoes, server.Options{HTTP: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-release
	})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	answered := make(chan error, 1)
	go func() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := client.Get("http://" + l.Addr().String() + "/")
		if err == nil {
			_ = r.Body.Close()
		}
		answered <- err
	}()
	<-begun
	close(l.fail)
	_ = l.Close()
	eventually(t, "the drain begins", s.Draining)
	cancel()
	select {
	case err := <-served:
		t.Errorf("Serve has returned while a handler runs: %v", err)
		served <- err
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the request has no answer: %v", err)
	}
	if err := <-served; !errors.Is(err, errExpected) {
		t.Errorf("Serve: got %v", err)
	}
}

type failing struct {
	net.Listener
	fail chan struct{}
}

func (l *failing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.fail
		return nil, errExpected
	}
	return c, nil
}
