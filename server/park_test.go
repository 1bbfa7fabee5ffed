package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// counted is an echo that counts its calls.
func counted(calls *atomic.Int64) server.Handler {
	return func(ctx context.Context, c *server.Conn) error {
		calls.Add(1)
		err := echoes(ctx, c)
		return fmt.Errorf("echoing: %w", err)
	}
}

// parked waits until one connection of this process is parked, and no handler is on any
// stack. So it is for one test at a time.
func parked(tb testing.TB, s *site) {
	tb.Helper()
	b := make([]byte, 1<<20)
	eventually(tb, "the connection is parked", func() bool {
		all := b[:runtime.Stack(b, true)]
		return s.Parked() == 1 && !bytes.Contains(all, []byte("server.(*Conn)"))
	})
}

// TestRest follows one connection: no message, no handler; and what else there is
// to do is done all the same.
func TestRest(t *testing.T) {
	var calls atomic.Int64
	s := serve(t, counted(&calls), server.Options{ParkAfter: resting, PingInterval: 50 * time.Millisecond, MaxMissed: 1000})
	p := s.dial(t, wstest.DialOptions{})
	parked(t, s)
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
		parked(t, s)
		if n := calls.Load(); n != int64(i) {
			t.Fatalf("%d calls after %d messages", n, i)
		}
		send(t, p, wstest.TextFrame("hi"))
		hearPast(t, p, "hi")
		parked(t, s)
		if n := calls.Load(); n != int64(i+1) {
			t.Fatalf("%d calls after %d messages", n, i+1)
		}
	}
	eventually(t, "pongs that came during the rest are counted", func() bool {
		for i := range s.Connections() {
			return i.Heartbeat.Answered > 1
		}
		return false
	})
	_ = p.Close()
	wantKind(t, s.end(t), ending.Abnormal)
}

// hearPast reads a message and answers the pings before it.
func hearPast(tb testing.TB, p *wstest.Peer, text string) {
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

// TestParkOnlyIfAsked: without ParkAfter, under TLS and in a mux of one's own the
// handler is called once, at the beginning.
func TestParkOnlyIfAsked(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(h server.Handler) *site{
		"no ParkAfter": func(h server.Handler) *site { return serve(t, h, server.Options{}) },
		"TLS":          func(h server.Handler) *site { return serveTLS(t, h, server.Options{ParkAfter: resting}) },
		"a mux of one's own": func(h server.Handler) *site {
			s, err := server.New(h, server.Options{ParkAfter: resting})
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
			return &site{Server: s, url: "ws" + ts.URL[len("http"):] + "/"}
		},
	} {
		var calls atomic.Int64
		s := start(counted(&calls))
		p := s.dial(t, wstest.DialOptions{})
		eventually(t, name+": the handler is called", func() bool { return calls.Load() == 1 })
		for range 3 {
			send(t, p, wstest.TextFrame("hi"))
			hear(t, p, wstest.Text, "hi")
			time.Sleep(5 * resting)
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%s: %d calls", name, n)
		}
	}
}

// TestRestless sends at all moments, so that messages come just when a connection
// goes to rest: none may be left lying.
func TestRestless(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := serve(t, counted(&calls), server.Options{ParkAfter: resting, HoldReplies: true})
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
					time.Sleep(rand.N(2 * resting))
					_ = p.SendRaw(b[n:])
				} else if err := p.Send(f); err != nil {
					t.Error(err)
					return
				}
				if _, got, err := p.RecvMessage(); err != nil || string(got) != fmt.Sprint(i) {
					t.Errorf("got %q, %v, want %d", got, err, i)
					return
				}
				time.Sleep(rand.N(2 * resting))
			}
		})
	}
	wg.Wait()
	if n := calls.Load(); n < 8*10 {
		t.Errorf("only %d calls: the connections did not rest", n)
	}
}

// TestEndOfRest ends connections that rest, in each way that there is.
func TestEndOfRest(t *testing.T) {
	for _, c := range []struct {
		name string
		opts server.Options
		end  func(s *site, p *wstest.Peer)
		kind ending.Kind
		wire uint16
	}{
		{"FIN", server.Options{}, func(_ *site, p *wstest.Peer) { _ = p.FIN() }, ending.Abnormal, 0},
		{"RST", server.Options{}, func(_ *site, p *wstest.Peer) { _ = p.RST() }, ending.Reset, 0},
		{"close", server.Options{}, func(_ *site, p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1001, "")) }, ending.GoingAway, 1001},
		{"part of a header", server.Options{MessageTimeout: 50 * time.Millisecond}, func(_ *site, p *wstest.Peer) { _ = p.SendRaw([]byte{0x81}) }, ending.TooSlow, 1008},
		{"bad frame", server.Options{}, func(_ *site, p *wstest.Peer) { _ = p.SendRaw([]byte{0x83, 0x80}) }, ending.Protocol, 1002},
		{"drain", server.Options{}, func(s *site, _ *wstest.Peer) { go func() { _ = s.stop() }() }, ending.Drained, 1001},
		{"age", server.Options{MaxAge: 300 * time.Millisecond}, nil, ending.Aged, 1001},
		{"idle", server.Options{IdleTimeout: 300 * time.Millisecond}, nil, ending.Idle, 1001},
		{"no pong", server.Options{PingInterval: 100 * time.Millisecond, MaxMissed: -1}, nil, ending.NoPong, 1001},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int64
			c.opts.ParkAfter = resting
			s := serve(t, counted(&calls), c.opts)
			p := s.dial(t, wstest.DialOptions{})
			parked(t, s)
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
		})
	}
}

// TestPartOfHeader: the MessageTimeout runs from the first byte of a header on, also
// where that has come to a connection at rest, and however rarely one is to rest.
func TestPartOfHeader(t *testing.T) {
	for _, again := range []time.Duration{resting, time.Hour} {
		s := serve(t, echoes, server.Options{ParkAfter: again, MessageTimeout: 50 * time.Millisecond})
		p := s.dial(t, wstest.DialOptions{})
		time.Sleep(10 * resting)
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

// TestCutAtRest: peers that rest and do not answer do not hold up the end of a
// drain.
func TestCutAtRest(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{ParkAfter: resting, DrainTimeout: 300 * time.Millisecond, CloseTimeout: server.MaxCloseTimeout})
	const n = 50
	for range n {
		s.dial(t, wstest.DialOptions{})
	}
	eventually(t, "all are there", func() bool { return s.open() == n })
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for range n {
		wantKind(t, s.end(t), ending.Drained)
	}
}

// TestIdleError: who returns ErrIdle of his own accord has failed.
func TestIdleError(t *testing.T) {
	t.Parallel()
	s := serve(t, returns(server.ErrNoMessage), server.Options{})
	p := s.dial(t, wstest.DialOptions{})
	finish(t, p, 1011)
	o := s.end(t)
	if wantKind(t, o, ending.Failed); !errors.Is(o.Cause, server.ErrNoMessage) {
		t.Errorf("cause %v", o.Cause)
	}
}

// A mine is a log handler that panics.
type mine struct{ slog.Handler }

func (mine) Enabled(context.Context, slog.Level) bool { return true }

func (m mine) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "began" {
		panic("the log is full")
	}
	return nil
}

// TestLogPanics: a Logger that panics ends one connection and leaks none.
func TestLogPanics(t *testing.T) {
	t.Parallel()
	for _, parkAfter := range []time.Duration{0, resting} {
		s := serve(t, echoes, server.Options{ParkAfter: parkAfter, Logger: slog.New(mine{slog.DiscardHandler})})
		p := s.dial(t, wstest.DialOptions{})
		finish(t, p, 1011)
		o := s.end(t)
		if wantKind(t, o, ending.Panicked); !strings.Contains(fmt.Sprint(o.Cause), "the log is full") {
			t.Errorf("cause %v", o.Cause)
		}
	}
}
