package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// counted returns an echo handler that counts its calls.
func counted(calls *atomic.Int64) server.Handler {
	return func(ctx context.Context, c *server.Conn) error {
		calls.Add(1)
		err := echoes(ctx, c)
		return fmt.Errorf("echoing: %w", err)
	}
}

// waitParked waits until the only connection of s is parked and no goroutine of this
// process runs a connection. So a test that calls it must not be parallel.
func waitParked(tb testing.TB, s *testServer) {
	tb.Helper()
	eventually(tb, "the connection is parked", func() bool { return allParked(s) })
}

// parkedOrOver waits as waitParked does. It returns false if the connection ended first.
func parkedOrOver(tb testing.TB, s *testServer) (parked bool) {
	tb.Helper()
	eventually(tb, "the connection is parked or over", func() bool {
		parked = allParked(s)
		return parked || len(s.ends) != 0
	})
	return parked
}

func allParked(s *testServer) bool {
	b := make([]byte, 1<<20)
	all := b[:runtime.Stack(b, true)]
	return s.Parked() == 1 && !bytes.Contains(all, []byte("server.(*Conn)"))
}

// TestPark: a parked connection sends pings and answers them without its handler. Each
// message starts the handler once.
func TestPark(t *testing.T) {
	var calls atomic.Int64
	s := serve(t, counted(&calls), server.Options{ParkAfter: shortParkAfter, PingInterval: 50 * time.Millisecond, MaxMissed: 1000})
	p := s.dial(t, wstest.DialOptions{})
	waitParked(t, s)
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls before there was a message", n)
	}
	for i := range 5 {
		send(t, p, wstest.PingFrame("still?"))
		pings := 0
		for pong := false; !pong || pings < 2; {
			f, err := p.Recv()
			if err != nil {
				t.Fatal(err)
			}
			switch f.Opcode {
			case wstest.Ping:
				pings++
				send(t, p, wstest.PongFrame(string(f.Payload)))
			case wstest.Pong:
				pong = string(f.Payload) == "still?"
			}
		}
		waitParked(t, s)
		if n := calls.Load(); n != int64(i) {
			t.Fatalf("%d calls after %d messages", n, i)
		}
		send(t, p, wstest.TextFrame("hi"))
		recvMessage(t, p, "hi")
		waitParked(t, s)
		if n := calls.Load(); n != int64(i+1) {
			t.Fatalf("%d calls after %d messages", n, i+1)
		}
	}
	eventually(t, "pongs for a parked connection are counted", func() bool {
		for i := range s.Connections() {
			return i.Heartbeat.Answered > 1
		}
		return false
	})
	_ = p.FIN() // a close with an unread ping would be a reset
	wantKind(t, s.end(t), ending.Abnormal)
}

// recvMessage reads a message and answers the pings before it.
func recvMessage(tb testing.TB, p *wstest.Peer, text string) {
	tb.Helper()
	for {
		f, err := p.Recv()
		if err != nil {
			tb.Fatal(err)
		}
		if f.Opcode == wstest.Ping {
			send(tb, p, wstest.PongFrame(string(f.Payload)))
			continue
		}
		if string(f.Payload) != text {
			tb.Fatalf("got %v, want %q", f, text)
		}
		return
	}
}

// TestNeverParked: without ParkAfter, with TLS and under another HTTP server a connection
// is never parked. Its handler is called once, at the beginning.
func TestNeverParked(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(h server.Handler) *testServer{
		"no ParkAfter": func(h server.Handler) *testServer { return serve(t, h, server.Options{}) },
		"TLS":          func(h server.Handler) *testServer { return serveTLS(t, h, server.Options{ParkAfter: shortParkAfter}) },
		"another HTTP server": func(h server.Handler) *testServer {
			s, err := server.New(h, server.Options{ParkAfter: shortParkAfter})
			if err != nil {
				t.Fatal(err)
			}
			ts := httptest.NewServer(s)
			t.Cleanup(func() {
				if err := s.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
				ts.Close()
			})
			return &testServer{Server: s, url: "ws" + ts.URL[len("http"):] + "/"}
		},
	} {
		var calls atomic.Int64
		s := start(counted(&calls))
		p := s.dial(t, wstest.DialOptions{})
		eventually(t, name+": the handler is called", func() bool { return calls.Load() == 1 })
		for range 3 {
			send(t, p, wstest.TextFrame("hi"))
			receive(t, p, wstest.Text, "hi")
			time.Sleep(5 * shortParkAfter)
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%s: %d calls", name, n)
		}
	}
}

// TestParkRace sends messages and pongs while connections are being parked. Each message
// is answered.
func TestParkRace(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := serve(t, counted(&calls), server.Options{ParkAfter: shortParkAfter})
	var wg sync.WaitGroup
	for range 8 {
		p := s.dial(t, wstest.DialOptions{})
		wg.Go(func() {
			for i := range 300 {
				f := wstest.TextFrame(fmt.Sprint(i))
				f.Masked = true
				if rand.N(2) == 0 {
					_ = p.Send(wstest.PongFrame("unasked"))
				}
				if rand.N(4) == 0 { // in two pieces
					b := f.Append(nil)
					n := 1 + rand.N(len(b)-1)
					_ = p.SendRaw(b[:n])
					time.Sleep(rand.N(2 * shortParkAfter))
					_ = p.SendRaw(b[n:])
				} else if err := p.Send(f); err != nil {
					t.Error(err)
					return
				}
				if _, got, err := p.RecvMessage(); err != nil || string(got) != fmt.Sprint(i) {
					t.Errorf("got %q, %v, want %d", got, err, i)
					return
				}
				time.Sleep(rand.N(2 * shortParkAfter))
			}
		})
	}
	wg.Wait()
	if n := calls.Load(); n < 8*10 {
		t.Errorf("only %d calls: the connections were not parked", n)
	}
}

// TestParkedEnds ends parked connections in each way.
func TestParkedEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		opts server.Options
		end  func(s *testServer, p *wstest.Peer) // nil: the server ends the connection by itself
		kind ending.Kind
		wire uint16
	}{
		{"FIN", server.Options{}, func(_ *testServer, p *wstest.Peer) { _ = p.FIN() }, ending.Abnormal, 0},
		{"RST", server.Options{}, func(_ *testServer, p *wstest.Peer) { _ = p.RST() }, ending.Reset, 0},
		{"close", server.Options{}, func(_ *testServer, p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1001, "")) }, ending.GoingAway, 1001},
		{"part of a header", server.Options{MessageTimeout: 50 * time.Millisecond}, func(_ *testServer, p *wstest.Peer) { _ = p.SendRaw([]byte{0x81}) }, ending.TooSlow, 1008},
		{"bad frame", server.Options{}, func(_ *testServer, p *wstest.Peer) { _ = p.SendRaw([]byte{0x83, 0x80}) }, ending.Protocol, 1002},
		{"drain", server.Options{}, func(s *testServer, _ *wstest.Peer) { go func() { _ = s.stop() }() }, ending.Drained, 1001},
		{"age", server.Options{MaxAge: 300 * time.Millisecond}, nil, ending.Aged, 1001},
		{"idle", server.Options{IdleTimeout: 300 * time.Millisecond}, nil, ending.Idle, 1001},
		{"no pong", server.Options{PingInterval: 400 * time.Millisecond, MaxMissed: -1}, nil, ending.NoPong, 1001},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int64
			c.opts.ParkAfter = shortParkAfter
			var s *testServer
			var p *wstest.Peer
			for {
				calls.Store(0)
				s = serve(t, counted(&calls), c.opts)
				p = s.dial(t, wstest.DialOptions{})
				if parkedOrOver(t, s) {
					break
				}
				if c.end != nil {
					t.Fatalf("the connection ended too early: %v", s.end(t))
				}
				// This machine was too slow to see it parked.
				c.opts.MaxAge, c.opts.IdleTimeout, c.opts.PingInterval = 2*c.opts.MaxAge, 2*c.opts.IdleTimeout, 2*c.opts.PingInterval
			}
			if c.end != nil {
				c.end(s, p)
			}
			if c.kind != ending.Reset {
				e, err := p.Answer(t.Context(), wstest.AnswerOptions{NoPong: true})
				if err != nil || e.Code != c.wire {
					t.Errorf("the peer got %v, %v, want %d", e, err, c.wire)
				}
				_ = p.Close()
			}
			o := s.end(t)
			wantKind(t, o, c.kind)
			if c.kind.By() == ending.Local && c.kind != ending.TooSlow && c.kind != ending.Protocol && calls.Load() != 0 {
				t.Errorf("the handler was called %d times", calls.Load())
			}
			bound := c.opts.PingInterval * 3 / 2                                                            // MaxMissed is 0, and PingTimeout is half of PingInterval
			if d := o.Ended.Sub(o.LastReceived); c.kind == ending.NoPong && d > bound+c.opts.PingInterval { // a busy machine delays the timer
				t.Errorf("no pong after %v, want at most %v", d, bound)
			}
		})
	}
}

// TestParkedClose: Close and CloseNow end a parked connection, and Ping works on it.
func TestParkedClose(t *testing.T) {
	for name, end := range map[string]func(c *server.Conn) error{
		"Close":    func(c *server.Conn) error { return c.Close(4000, "over") },
		"CloseNow": (*server.Conn).CloseNow,
	} {
		t.Run(name, func(t *testing.T) {
			conns := make(chan *server.Conn, 1)
			s := serve(t, func(ctx context.Context, c *server.Conn) error {
				select {
				case conns <- c:
				default:
				}
				return echoes(ctx, c)
			}, server.Options{ParkAfter: shortParkAfter, PingInterval: -1})
			p := s.dial(t, wstest.DialOptions{})
			send(t, p, wstest.TextFrame("hi"))
			receive(t, p, wstest.Text, "hi")
			c := <-conns
			waitParked(t, s)
			answering := make(chan struct{})
			go func() {
				defer close(answering)
				_, _ = p.Answer(t.Context(), wstest.AnswerOptions{})
				_ = p.Close()
			}()
			if err := c.Ping(t.Context()); err != nil {
				t.Errorf("Ping: %v", err)
			}
			waitParked(t, s)
			if err := end(c); err != nil {
				t.Error(err)
			}
			wantKind(t, s.end(t), ending.Closed)
			<-answering
		})
	}
}

// TestParkedHandlerEnds: the handler of a connection that can be parked ends the
// connection by its result, a panic and runtime.Goexit.
func TestParkedHandlerEnds(t *testing.T) {
	for name, test := range map[string]struct {
		leave func() error
		kind  ending.Kind
		code  uint16
	}{
		"nil":    {func() error { return nil }, ending.Done, 1000},
		"error":  {func() error { return errExpected }, ending.Failed, 1011},
		"panic":  {func() error { panic("on purpose") }, ending.Panicked, 1011},
		"Goexit": {func() error { runtime.Goexit(); return nil }, ending.Panicked, 1011},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(ctx context.Context, c *server.Conn) error {
				if _, _, err := c.Read(ctx); err != nil {
					return err
				}
				return test.leave()
			}, server.Options{ParkAfter: shortParkAfter, PingInterval: -1, CloseTimeout: unanswered})
			p := s.dial(t, wstest.DialOptions{})
			waitParked(t, s)
			send(t, p, wstest.TextFrame("hi"))
			finish(t, p, test.code)
			_ = p.Close()
			wantKind(t, s.end(t), test.kind)
		})
	}
}

// TestParkingStops: Serve ends the parked connections and the goroutines of the parker,
// also if its listener fails.
func TestParkingStops(t *testing.T) {
	for name, stop := range map[string]func(s *testServer, l *failing) error{
		"the context ends": func(s *testServer, l *failing) error {
			close(l.fail) // makes Accept return when net/http closes l
			return s.stop()
		},
		"Shutdown": func(s *testServer, l *failing) error {
			close(l.fail)
			return errors.Join(s.Shutdown(context.Background()), s.stop())
		},
		"the listener fails": func(s *testServer, l *failing) error {
			close(l.fail)
			_ = l.Close()
			return nil // Serve returns without a stop
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := &failing{Listener: listen(t), fail: make(chan struct{})}
			s := serveOn(t, l, echoes, server.Options{ParkAfter: shortParkAfter, PingInterval: 40 * time.Millisecond, MaxMissed: 1000, CloseTimeout: unanswered})
			const n = 20
			for range n {
				s.dial(t, wstest.DialOptions{})
			}
			eventually(t, "connections are parked", func() bool { return s.Parked() > n/2 })
			if err := stop(s, l); err != nil {
				t.Error(err)
			}
			for range n {
				wantKind(t, s.end(t), ending.Drained)
			}
			if err := s.stop(); err != nil && !errors.Is(err, errExpected) {
				t.Error(err)
			}
			stacks := make([]byte, 1<<20)
			if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("server.(*parker)")) {
				t.Errorf("goroutines of the parker are left:\n%s", stacks)
			}
		})
	}
}

// TestPartOfHeader: the MessageTimeout runs from the first byte of a header. It does so
// whether the connection was parked or not.
func TestPartOfHeader(t *testing.T) {
	for _, parkAfter := range []time.Duration{shortParkAfter, time.Hour} {
		s := serve(t, echoes, server.Options{ParkAfter: parkAfter, MessageTimeout: 50 * time.Millisecond, CloseTimeout: unanswered})
		p := s.dial(t, wstest.DialOptions{})
		time.Sleep(10 * shortParkAfter)
		began := time.Now()
		if err := p.SendRaw([]byte{0x81}); err != nil {
			t.Fatal(err)
		}
		finish(t, p, 1008)
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("it took %v", d)
		}
		wantKind(t, s.end(t), ending.TooSlow)
	}
}

// TestParkedCutOff: parked peers that do not answer a close frame do not delay the end
// of a drain.
func TestParkedCutOff(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{ParkAfter: shortParkAfter, DrainTimeout: 300 * time.Millisecond, CloseTimeout: server.MaxCloseTimeout})
	const n = 50
	for range n {
		s.dial(t, wstest.DialOptions{})
	}
	eventually(t, "all connections are open", func() bool { return s.open() == n })
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for range n {
		wantKind(t, s.end(t), ending.Drained)
	}
}

// TestErrNoMessage: without ParkAfter a handler that returns ErrNoMessage has failed.
func TestErrNoMessage(t *testing.T) {
	t.Parallel()
	s := serve(t, returns(server.ErrNoMessage), server.Options{})
	p := s.dial(t, wstest.DialOptions{})
	finish(t, p, 1011)
	o := s.end(t)
	if wantKind(t, o, ending.Failed); !errors.Is(o.Cause, server.ErrNoMessage) {
		t.Errorf("cause %v", o.Cause)
	}
}

// TestLateAndIdle: a connection whose handshake ends after the drain has begun is served
// during the DrainNotice, also after a silence.
func TestLateAndIdle(t *testing.T) {
	t.Parallel()
	admitting, admit := make(chan struct{}), make(chan struct{})
	s := serve(t, echoes, server.Options{
		PingInterval: -1, DrainNotice: 3 * time.Second,
		Admit: func(*http.Request) (any, error) {
			close(admitting)
			<-admit
			return nil, nil
		},
	})
	dialled := make(chan *wstest.Peer)
	go func() { dialled <- s.dial(t, wstest.DialOptions{}) }()
	<-admitting
	stopped := make(chan error)
	go func() { stopped <- s.stop() }()
	eventually(t, "the drain has begun", s.Draining)
	close(admit)
	p := <-dialled
	send(t, p, wstest.TextFrame("one"))
	receive(t, p, wstest.Text, "one")
	time.Sleep(100 * shortParkAfter)
	send(t, p, wstest.TextFrame("two"))
	receive(t, p, wstest.Text, "two")
	finish(t, p, 1001)
	_ = p.Close()
	wantKind(t, s.end(t), ending.Drained)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestParkedLate: a peer that is silent from a ping on is detected within the bound. It
// may be parked late in the Timeout of the ping.
func TestParkedLate(t *testing.T) {
	const interval, timeout = time.Second, 960 * time.Millisecond
	for range 12 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			s := serve(t, echoes, server.Options{ParkAfter: 900 * time.Millisecond, PingInterval: interval, PingTimeout: timeout, MaxMissed: -1})
			s.dial(t, wstest.DialOptions{})
			o := s.end(t)
			wantKind(t, o, ending.NoPong)
			if d := o.Ended.Sub(o.LastReceived); d > interval+timeout+interval/2 {
				t.Errorf("no pong after %v, want about %v; %+v", d, interval+timeout, o.Heartbeat)
			}
		})
	}
}

// TestParkAfter: a connection that has never sent a message is parked after about a
// second. One that has sent a message is parked after ParkAfter.
func TestParkAfter(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{ParkAfter: time.Minute, PingInterval: -1})
	busy, silent := s.dial(t, wstest.DialOptions{}), s.dial(t, wstest.DialOptions{})
	defer silent.Close()
	send(t, busy, wstest.TextFrame("hi")) // within its first second
	recvMessage(t, busy, "hi")
	eventually(t, "the silent connection is parked", func() bool { return s.Parked() == 1 })
	late := s.dial(t, wstest.DialOptions{})
	defer late.Close()
	// The second silent connection begins a second after the message of the busy one.
	eventually(t, "the second silent connection is parked", func() bool { return s.Parked() == 2 })
	time.Sleep(500 * time.Millisecond)
	if n := s.Parked(); n != 2 {
		t.Errorf("%d connections are parked, want the two silent ones", n)
	}
}
