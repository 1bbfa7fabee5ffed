package server_test

import (
	"context"
	"errors"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A panickingLog panics at a message, or at every one.
type panickingLog struct {
	slog.Handler
	at string // "": every message, and Enabled
}

func (l panickingLog) Enabled(context.Context, slog.Level) bool {
	if l.at == "" {
		panic("the log is full")
	}
	return true
}

func (l panickingLog) Handle(_ context.Context, r slog.Record) error {
	if l.at == "" || r.Message == l.at {
		panic("the log is full")
	}
	return nil
}

// TestLogPanics: a Logger that panics ends neither the process nor a connection. The
// standard log has a line about the panic.
func TestLogPanics(t *testing.T) {
	var std lockedBuffer
	old := stdlog.Writer()
	stdlog.SetOutput(&std)
	defer stdlog.SetOutput(old)
	for _, at := range []string{"", "began", "no subprotocol selected", "ended", "handler panicked", "draining"} {
		for _, parkAfter := range []time.Duration{0, shortParkAfter} {
			before := std.count("the Logger panicked: the log is full")
			h := echoes
			if at == "handler panicked" {
				h = func(ctx context.Context, c *server.Conn) error {
					_, _, _ = c.Read(ctx)
					_ = c.Write(ctx, 1, []byte("one"))
					panic("on purpose")
				}
			}
			s := serve(t, h, server.Options{ParkAfter: parkAfter, Logger: slog.New(panickingLog{slog.DiscardHandler, at})})
			p := s.dial(t, wstest.DialOptions{Subprotocols: []string{"x"}})
			send(t, p, wstest.TextFrame("one"))
			receive(t, p, wstest.Text, "one")
			if at != "handler panicked" {
				send(t, p, wstest.CloseFrame(1000, ""))
			}
			_, _ = p.Recv()
			_ = p.Close()
			s.end(t)
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			if n := s.Count(); n != 0 {
				t.Errorf("%q: %d connections are left", at, n)
			}
			if n := std.count("the Logger panicked: the log is full") - before; n != 1 {
				t.Errorf("%q: got %d lines in the standard log, want 1", at, n)
			}
		}
	}
}

// TestOnEndPanics: a panic in OnEnd is logged, ends nothing else, and releases the slot.
func TestOnEndPanics(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	s := serve(t, returns(nil), server.Options{
		MaxConns: 1,
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
		OnEnd:    func(server.Outcome) { panic("on purpose") },
	})
	for i := range 3 {
		var p *wstest.Peer
		eventually(t, "the slot is free", func() (ok bool) {
			var err error
			p, err = wstest.Dial(s.url, wstest.DialOptions{})
			return err == nil
		})
		finish(t, p, 1000)
		_ = p.Close()
		eventually(t, "the panic is logged", func() bool { return log.count(`level=ERROR msg="OnEnd panicked"`) == i+1 })
	}
	if log.count(`panic="on purpose" stack="goroutine`) != 3 {
		t.Errorf("got the log %s", log.b.String())
	}
}

// TestOnStart: OnStart is called once for each connection, before its handler.
func TestOnStart(t *testing.T) {
	t.Parallel()
	started := make(chan uint64, 1)
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		if id := <-started; id != c.ID() {
			t.Errorf("got OnStart of %d, want %d", id, c.ID())
		}
		return nil
	}, server.Options{OnStart: func(c *server.Conn) { started <- c.ID() }})
	p := s.dial(t, wstest.DialOptions{})
	finish(t, p, 1000)
	wantKind(t, s.end(t), ending.Done)

	s = serve(t, echoes, server.Options{OnStart: func(*server.Conn) { panic("on purpose") }})
	p = s.dial(t, wstest.DialOptions{})
	finish(t, p, 1011)
	wantKind(t, s.end(t), ending.Panicked)
}

// TestSettings: OnStart sets the read limit and the ping interval of a connection.
func TestSettings(t *testing.T) {
	t.Parallel()
	settings := func(limit int64, interval time.Duration) func(c *server.Conn) {
		return func(c *server.Conn) {
			c.SetReadLimit(limit)
			if err := c.SetPingInterval(interval); err != nil {
				t.Error(err)
			}
		}
	}
	for _, parkAfter := range []time.Duration{0, shortParkAfter} {
		o := server.Options{ReadLimit: 10, PingInterval: -1, MaxMissed: -1, ParkAfter: parkAfter}
		o.OnStart = settings(5, 0)
		s := serve(t, echoes, o)
		p := s.dial(t, wstest.DialOptions{})
		send(t, p, wstest.TextFrame("12345"))
		receive(t, p, wstest.Text, "12345")
		send(t, p, wstest.TextFrame("123456"))
		finish(t, p, 1009)
		wantKind(t, s.end(t), ending.TooBig)

		o.OnStart = settings(0, 2*time.Second) // the echo comes before the verdict, also on a busy machine
		s = serve(t, echoes, o)
		p = s.dial(t, wstest.DialOptions{})
		send(t, p, wstest.TextFrame("1234567890"))
		receive(t, p, wstest.Text, "1234567890")
		wantKind(t, s.end(t), ending.NoPong)

		o.OnStart, o.PingInterval = settings(-1, -1), 50*time.Millisecond
		s = serve(t, echoes, o)
		p = s.dial(t, wstest.DialOptions{})
		send(t, p, wstest.TextFrame(strings.Repeat("x", 1000)))
		receive(t, p, wstest.Text, strings.Repeat("x", 1000))
		time.Sleep(300 * time.Millisecond)
		send(t, p, wstest.TextFrame("still here"))
		receive(t, p, wstest.Text, "still here")
		_ = p.Close()
		s.end(t)
	}
}

// TestSettingsWrong: a wrong or late ping interval is refused.
func TestSettingsWrong(t *testing.T) {
	t.Parallel()
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		if err := c.SetPingInterval(time.Second); err == nil {
			t.Error("the interval was set though the heartbeat runs")
		}
		return nil
	}, server.Options{OnStart: func(c *server.Conn) {
		if err := c.SetPingInterval(1); err == nil {
			t.Error("1 ns was accepted")
		}
	}})
	finish(t, s.dial(t, wstest.DialOptions{}), 1000)
	s.end(t)
}

// TestSettingsBesideInfo: another goroutine asks for the Info of a connection while OnStart
// sets its ping interval. The race detector finds the fault.
func TestSettingsBesideInfo(t *testing.T) {
	t.Parallel()
	conns := make(chan *server.Conn)
	s := serve(t, echoes, server.Options{OnStart: func(c *server.Conn) {
		conns <- c
		if err := c.SetPingInterval(time.Second); err != nil {
			t.Error(err)
		}
	}})
	p := s.dial(t, wstest.DialOptions{})
	_ = (<-conns).Info()
	_ = p.Close()
	s.end(t)
}

// TestCloseByID: the embedding program counts connections, and closes one by its id, also
// while it is parked.
func TestCloseByID(t *testing.T) {
	t.Parallel()
	for _, parkAfter := range []time.Duration{0, shortParkAfter} {
		s := serve(t, echoes, server.Options{ParkAfter: parkAfter})
		a, b := s.dial(t, wstest.DialOptions{}), s.dial(t, wstest.DialOptions{})
		eventually(t, "both are there", func() bool { return s.Count() == 2 })
		time.Sleep(10 * shortParkAfter)
		if s.Conn(3) != nil || s.Conn(1).ID() != 1 {
			t.Error("got the wrong connections")
		}
		finished := make(chan struct{})
		go func() { defer close(finished); finish(t, a, 4001) }()
		if err := s.Conn(1).Close(4001, "kicked"); err != nil {
			t.Error(err)
		}
		if o := s.end(t); o.ID != 1 || o.Kind != ending.Closed || o.Code != 4001 || o.Reason != "kicked" {
			t.Errorf("got %+v", o)
		}
		<-finished
		eventually(t, "one is left", func() bool { return s.Count() == 1 && s.Conn(1) == nil })
		send(t, b, wstest.TextFrame("here"))
		receive(t, b, wstest.Text, "here")
		_ = b.Close()
		s.end(t)
	}
}

// TestServeValues: handlers, and Admit, see the values of Serve's context and not its end.
func TestServeValues(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "value"))
	ended := make(chan server.Outcome, 1)
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		if ctx.Value(key{}) != "value" || c.Value() != "value" {
			t.Errorf("the handler got %v and Admit %v", ctx.Value(key{}), c.Value())
		}
		cancel()
		_, _, err := c.Read(ctx)
		return err
	}, server.Options{
		Admit:        func(r *http.Request) (any, error) { return r.Context().Value(key{}), nil },
		OnEnd:        func(o server.Outcome) { ended <- o },
		CloseTimeout: 100 * time.Millisecond, // the peer does not answer
	})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	served := make(chan error)
	go func() { served <- s.Serve(ctx, l) }()
	p, err := wstest.Dial("ws://"+l.Addr().String(), wstest.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	finish(t, p, 1001)
	_ = p.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
	wantKind(t, <-ended, ending.Drained)
}

// TestBaseContext: the end of another HTTP server's BaseContext ends its connections. The
// deadline that a middleware sets for a request does not.
func TestBaseContext(t *testing.T) {
	t.Parallel()
	base, cancel := context.WithCancelCause(context.Background())
	ended := make(chan server.Outcome, 2)
	s, err := server.New(echoes, server.Options{CloseTimeout: closeTimeout, OnEnd: func(o server.Outcome) { ended <- o }})
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	hs := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/timeout" {
			ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
			defer cancel()
			context.AfterFunc(ctx, func() { close(over) })
			r = r.WithContext(ctx)
		}
		s.ServeHTTP(w, r)
	}))
	hs.Config.BaseContext = func(net.Listener) context.Context { return base }
	hs.Start()
	defer hs.Close()
	dial := func(path string) *wstest.Peer {
		p, err := wstest.Dial("ws"+strings.TrimPrefix(hs.URL, "http")+path, wstest.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	timed := dial("/timeout")
	<-over
	time.Sleep(50 * time.Millisecond)
	send(t, timed, wstest.TextFrame("still open"))
	receive(t, timed, wstest.Text, "still open")
	send(t, timed, wstest.CloseFrame(1000, ""))
	finish(t, timed, 1000)
	wantKind(t, <-ended, ending.Normal)

	p := dial("/")
	send(t, p, wstest.TextFrame("x"))
	receive(t, p, wstest.Text, "x")
	why := errors.New("the program ends")
	cancel(why)
	finish(t, p, 1001)
	o := <-ended
	if wantKind(t, o, ending.Closed); !errors.Is(o.Cause, why) {
		t.Errorf("got the cause %v", o.Cause)
	}
}

// TestNoRead: a handler that returns ErrNoMessage without a read would be called again and
// again. It has failed.
func TestNoRead(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		var calls atomic.Int32
		s := serve(t, func(ctx context.Context, c *server.Conn) error {
			if calls.Add(1) > 1 || first {
				return server.ErrNoMessage
			}
			_, r, err := c.Reader(ctx)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if err == nil {
				err = server.ErrNoMessage
			}
			return err
		}, server.Options{ParkAfter: time.Minute, PingInterval: -1})
		p := s.dial(t, wstest.DialOptions{})
		send(t, p, wstest.TextFrame("one"))
		if !first {
			send(t, p, wstest.TextFrame("two"))
		}
		finish(t, p, 1011)
		if o := s.end(t); o.Kind != ending.Failed || !errors.Is(o.Cause, server.ErrNoMessage) || !strings.Contains(o.Cause.Error(), "has not read") {
			t.Errorf("got %v, cause %v", o.Kind, o.Cause)
		}
	}
}

// TestIdleTimerAfterEnd: the timer of a connection that has ended is not set again.
func TestIdleTimerAfterEnd(t *testing.T) {
	t.Parallel()
	conns := make(chan *server.Conn, 1)
	s := serve(t, echoes, server.Options{IdleTimeout: time.Hour, OnStart: func(c *server.Conn) { conns <- c }})
	p := s.dial(t, wstest.DialOptions{})
	_ = p.Close()
	s.end(t)
	if (<-conns).FireIdleTimer() {
		t.Error("the timer is set")
	}
}
