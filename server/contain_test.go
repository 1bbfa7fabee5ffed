package server_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// The methods of a nil *nilError panic.
type nilError struct {
	text string
	err  error
}

func (e *nilError) Error() string { return e.text }

func (e *nilError) Unwrap() error { return e.err }

// TestErrorPanics: an error whose methods panic ends no process. The log names its type.
func TestErrorPanics(t *testing.T) {
	t.Parallel()
	var wrong *nilError
	for _, parkAfter := range []time.Duration{0, shortParkAfter} {
		var log lockedBuffer
		s := serve(t, func(ctx context.Context, c *server.Conn) error {
			_, _, _ = c.Read(ctx)
			return wrong
		}, server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), ParkAfter: parkAfter})
		p := s.dial(t, wstest.DialOptions{})
		send(t, p, wstest.TextFrame("x"))
		finish(t, p, 1011)
		if o := s.end(t); parkAfter == 0 && (o.Kind != ending.Failed || o.Cause != error(wrong)) {
			t.Errorf("got %v", o.Kind)
		}
		if parkAfter == 0 && log.count(`cause="the method Error of *server_test.nilError panicked: runtime error:`) != 1 {
			t.Errorf("got the log %s", log.b.String())
		}
	}
	var log lockedBuffer
	s := serve(t, echoes, server.Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Admit:  func(*http.Request) (any, error) { return nil, wrong },
	})
	if status, body := s.status(t, nil); status != http.StatusForbidden || !strings.Contains(body, "nilError") {
		t.Errorf("got %d, %q", status, body)
	}
	if log.count(`reason="the method Error of *server_test.nilError panicked: runtime error:`) != 1 {
		t.Errorf("got the log %s", log.b.String())
	}
}

// TestObserverPanics: a panic of a function of the Observer ends neither the process nor a
// connection, and holds no slot. The log has it.
func TestObserverPanics(t *testing.T) {
	t.Parallel()
	for _, parkAfter := range []time.Duration{0, shortParkAfter} {
		var log lockedBuffer
		began := time.Now()
		s := serve(t, echoes, server.Options{
			MaxConns: 1, ParkAfter: parkAfter, PingInterval: 20 * time.Millisecond, MaxMissed: 1000,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Observer: &server.Observer{
				Accepted:     func(*http.Request, time.Duration) { panic("on purpose") },
				Refused:      func(*http.Request, server.Refusal) { panic("on purpose") },
				Started:      func(*server.Conn) { panic("on purpose") },
				Ended:        func(server.Outcome) { panic("on purpose") },
				PingSent:     func(*server.Conn) { panic("on purpose") },
				PongReceived: func(*server.Conn, time.Duration) { panic("on purpose") },
				Drain:        func(server.DrainStep, int) { panic("on purpose") },
			},
		})
		p := s.dial(t, wstest.DialOptions{})
		for pings := 0; pings < 3; {
			f, err := p.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if f.Opcode == wstest.Ping {
				send(t, p, wstest.PongFrame(string(f.Payload)))
				pings++
			}
		}
		if status, _ := s.status(t, nil); status != http.StatusServiceUnavailable {
			t.Errorf("got %d, want 503 at the limit", status)
		}
		_ = p.Close()
		s.end(t)
		eventually(t, "the slot is free", func() bool {
			p, err := wstest.Dial(s.url, wstest.DialOptions{})
			if err == nil {
				_ = p.Close()
				s.end(t)
			}
			return err == nil
		})
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"Accepted", "Refused", "Started", "Ended", "PingSent", "PongReceived", "Drain"} {
			if log.count(`level=ERROR msg="Observer.`+name+` panicked"`) == 0 {
				t.Errorf("the log has no panic of %s: %.4000s", name, log.b.String())
			}
		}
		// 5 at once, one per 10 s, and the last one at the end.
		if n := log.count(`msg="Observer.PingSent panicked"`); n > 6+int(time.Since(began)/(10*time.Second)) {
			t.Errorf("got %d lines about PingSent", n)
		}
	}
}

// TestPongPanics: a panic of ConnOptions.Pong ends nothing, also while CloseRead reads.
func TestPongPanics(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		<-c.CloseRead(ctx).Done()
		return nil
	}, server.Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		PerConn: func(*http.Request) (*server.ConnOptions, error) {
			return &server.ConnOptions{Pong: func([]byte, func([]byte)) { panic("on purpose") }}, nil
		},
	})
	p := s.dial(t, wstest.DialOptions{})
	send(t, p, wstest.PingFrame("x"))
	eventually(t, "the panic is logged", func() bool { return log.count(`level=ERROR msg="ConnOptions.Pong panicked" id=1`) == 1 })
	send(t, p, wstest.CloseFrame(1000, ""))
	finish(t, p, 1000)
	wantKind(t, s.end(t), ending.Normal)
}

// TestWrapPanics: after a panic of ConnOptions.Wrap, or a nil result, the socket and the
// slot are free.
func TestWrapPanics(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{MaxConns: 1, PerConn: func(r *http.Request) (*server.ConnOptions, error) {
		return &server.ConnOptions{Wrap: func(net.Conn) net.Conn {
			if r.URL.Path == "/nil" {
				return nil
			}
			panic("on purpose")
		}}, nil
	}})
	url := s.url
	for _, path := range []string{"", "nil", ""} {
		s.usesSlots(t, 0)
		p, err := wstest.Dial(url+path, wstest.DialOptions{}) // the 101 response is sent before Wrap
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.End(soon); err != nil {
			t.Errorf("%q: the socket is open: %v", path, err)
		}
		_ = p.Close()
	}
}

// A panickingConn panics at a read or a write once the test wants it to.
type panickingConn struct {
	net.Conn
	atRead, atWrite *atomic.Bool
}

func (c panickingConn) NetConn() net.Conn { return c.Conn }

func (c panickingConn) CloseWrite() error { panic("on purpose") }

func (c panickingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.atRead.Load() {
		panic("on purpose")
	}
	return n, err
}

func (c panickingConn) Write(p []byte) (int, error) {
	if c.atWrite.Load() {
		panic("on purpose")
	}
	return c.Conn.Write(p)
}

// TestWrappedConnPanics: a panic of a method of ConnOptions.Wrap's connection ends only
// that connection, on whatever goroutine it is called.
func TestWrappedConnPanics(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"read", "CloseRead", "write", "ping"} {
		var atRead, atWrite atomic.Bool
		var log lockedBuffer
		s := serve(t, func(ctx context.Context, c *server.Conn) error {
			switch at {
			case "read", "write":
				return echoes(ctx, c)
			}
			<-c.CloseRead(ctx).Done()
			return nil
		}, server.Options{PingInterval: 20 * time.Millisecond, MaxMissed: 1000, Logger: slog.New(slog.NewTextHandler(&log, nil)), PerConn: func(*http.Request) (*server.ConnOptions, error) {
			return &server.ConnOptions{Wrap: func(sock net.Conn) net.Conn { return panickingConn{sock, &atRead, &atWrite} }}, nil
		}})
		p := s.dial(t, wstest.DialOptions{})
		if _, err := p.Recv(); err != nil { // a ping
			t.Error(err)
		}
		if at == "write" || at == "ping" {
			atWrite.Store(true)
		} else {
			atRead.Store(true)
		}
		_ = p.Send(wstest.TextFrame("x")) // a ping may have ended the connection
		o := s.end(t)
		if atRead.Load() && (o.Cause == nil || !strings.Contains(o.Cause.Error(), "Read of server_test.panickingConn panicked: on purpose")) {
			t.Errorf("%s: got %v, cause %v", at, o.Kind, o.Cause)
		}
		method := map[bool]string{true: "Read", false: "Write"}[atRead.Load()]
		if log.count(`level=ERROR msg="the method `+method+` of ConnOptions.Wrap panicked" id=1`) == 0 {
			t.Errorf("%s: got the log %s", at, log.b.String())
		}
		_ = p.Close()
	}
}
