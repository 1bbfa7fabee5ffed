package server_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A logBuffer is a log for concurrent writes and reads.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *logBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *logBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{ReplaceAttr: noDuration}))
}

// TestDrain drains peers that answer, peers that do not, and peers that cannot receive
// the close frame.
func TestDrain(t *testing.T) {
	t.Parallel()
	var log logBuffer
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		if c.Info().URI == "/stalled" {
			return c.Write(ctx, websocket.MessageBinary, large)
		}
		return echoes(ctx, c)
	}, server.Options{Logger: log.logger(), CloseTimeout: server.DefaultCloseTimeout})
	const good, silent, stalled = 30, 15, 3
	codes := make(chan wstest.End, good)
	for range good {
		p := s.dial(t, wstest.DialOptions{})
		go func() {
			e, _ := p.Answer(context.Background(), wstest.AnswerOptions{})
			_ = p.Close()
			codes <- e
		}()
	}
	var quiet []*wstest.Peer
	for range silent {
		quiet = append(quiet, s.dial(t, wstest.DialOptions{}))
	}
	url := s.url
	s.url += "stalled"
	for range stalled {
		p := s.dial(t, wstest.DialOptions{RcvBuf: 4096})
		// The message has begun, and never ends.
		if _, err := p.NetConn().Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	s.url = url
	eventually(t, "all are open", func() bool { return s.open() == good+silent+stalled })
	start := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 6*server.DefaultCloseTimeout {
		t.Errorf("the drain took %v", d)
	}
	for range good {
		if e := <-codes; e.Code != 1001 || e.Reason == "" || !e.FIN {
			t.Errorf("got %v", e)
		}
	}
	for _, p := range quiet {
		finish(t, p, 1001)
	}
	for range good + silent + stalled {
		wantKind(t, s.end(t), ending.Drained)
	}
	want := fmt.Sprintf("msg=drained acknowledged=%d unacknowledged=%d unwritable=%d", good, silent, stalled)
	if got := log.String(); !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestDrainDelay: during the drain delay /readyz is 503 and the server still accepts
// connections. Afterwards it refuses them.
func TestDrainDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 30 * time.Second
		l := newPipes()
		s := serveOn(t, l, echoes, server.Options{DrainDelay: delay, PingInterval: -1})
		get := func(path string) int {
			p := wstest.Client(l.dial())
			defer p.Close()
			r, _ := roundTrip(t, p, "GET /"+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			return r.StatusCode
		}
		if n := get("readyz"); n != 200 {
			t.Errorf("before: got %d", n)
		}
		first := l.upgrade(t, "/")
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- s.stop() }()
		time.Sleep(delay - time.Second)
		if ready, health := get("readyz"), get("healthz"); ready != 503 || health != 200 {
			t.Errorf("got readyz %d, healthz %d", ready, health)
		}
		second := l.upgrade(t, "/")
		for _, p := range []*wstest.Peer{first, second} {
			send(t, p, wstest.TextFrame("x"))
			receive(t, p, wstest.Text, "x")
		}
		var wg sync.WaitGroup
		for _, p := range []*wstest.Peer{first, second} {
			wg.Go(func() {
				e, err := p.Answer(context.Background(), wstest.AnswerOptions{})
				if e.Code != 1001 || err != nil || time.Since(start) < delay {
					t.Errorf("got %v, %v, after %v", e, err, time.Since(start))
				}
				_ = p.Close()
			})
		}
		wg.Wait()
		if err := <-done; err != nil {
			t.Error(err)
		}
		select {
		case <-l.done:
		default:
			t.Error("the listener is open after the drain")
		}
	})
}

// TestDrainSpread: the close frames are sent evenly over the spread. A connection works
// until its own.
func TestDrainSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const spread, peers = 10 * time.Second, 20
		l := newPipes()
		s := serveOn(t, l, echoes, server.Options{DrainSpread: spread, PingInterval: -1})
		start := time.Now().Add(time.Second)
		times := make(chan time.Duration, peers)
		for range peers {
			p := l.upgrade(t, "/")
			go func() {
				for {
					if err := p.Send(wstest.TextFrame("x")); err != nil {
						t.Error(err)
					}
					if f, err := p.Recv(); err != nil || f.Opcode != wstest.Text {
						times <- time.Since(start)
						if err != nil || f.Opcode != wstest.Close {
							t.Errorf("got %v, %v", f, err)
						}
						go func() { _, _ = p.End(time.Hour) }()
						_ = p.Send(wstest.CloseFrame(1001, ""))
						_ = p.Close()
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
			}()
		}
		time.Sleep(time.Until(start))
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		var all []time.Duration
		for range peers {
			all = append(all, <-times)
		}
		slices.Sort(all)
		for i, at := range all {
			if want := time.Duration(i) * spread / peers; at < want || at > want+100*time.Millisecond {
				t.Errorf("close frame %d was sent after %v, want %v", i, at, want)
			}
		}
	})
}

// TestDrainSpreadEnds: a drain does not wait for its spread if all connections have ended,
// and the drain timeout ends both.
func TestDrainSpreadEnds(t *testing.T) {
	for name, cut := range map[string]bool{"the peers leave": false, "the drain timeout": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				s := serveOn(t, l, echoes, server.Options{DrainSpread: time.Minute, DrainTimeout: 2 * time.Minute, PingInterval: -1})
				start := time.Now()
				for range 30 {
					p := l.upgrade(t, "/")
					go func() {
						if !cut {
							time.Sleep(10 * time.Second)
							_ = p.Close()
							return
						}
						_, _ = p.End(time.Hour)
						_ = p.Close()
					}()
				}
				synctest.Wait() // see onPipes
				want := 10 * time.Second
				if cut {
					want = 20 * time.Second
					s.SetDrainTimeout(want)
				}
				if err := s.stop(); err != nil {
					t.Error(err)
				}
				if d := time.Since(start); d < want || d > want+server.DefaultCloseTimeout+time.Second {
					t.Errorf("the drain took %v, want %v", d, want)
				}
			})
		})
	}
}

// TestDraining: handlers see Draining and finish by themselves.
func TestDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const notice = 5 * time.Second
		l := newPipes()
		s := serveOn(t, l, func(ctx context.Context, c *server.Conn) error {
			<-c.Draining()
			if err := c.Write(ctx, websocket.MessageText, []byte("last words")); err != nil {
				return err
			}
			if c.Info().URI == "/leaves" {
				return nil
			}
			return readAll(ctx, c)
		}, server.Options{DrainNotice: notice, PingInterval: -1})
		peers := map[uint16]*wstest.Peer{1000: l.upgrade(t, "/leaves"), 1001: l.upgrade(t, "/")}
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.stop() })
		for code, p := range peers {
			wg.Go(func() {
				receive(t, p, wstest.Text, "last words")
				e, err := p.Answer(context.Background(), wstest.AnswerOptions{})
				if e.Code != code || err != nil {
					t.Errorf("got %v, %v, want %d", e, err, code)
				}
				if d := time.Since(start); (code == 1001) != (d >= notice) {
					t.Errorf("%d after %v", code, d)
				}
				_ = p.Close()
			})
		}
		wg.Wait()
	})
}

// TestPeerClosesFirst: the peer closes, and the drain starts once the peer has its
// answer. The peer's close frame stays the reason.
func TestPeerClosesFirst(t *testing.T) {
	t.Parallel()
	for range 50 {
		s := serve(t, echoes, server.Options{})
		p := s.dial(t, wstest.DialOptions{})
		send(t, p, wstest.CloseFrame(4000, "mine"))
		if code, _, err := p.Await(soon); code != 4000 {
			t.Fatalf("got %d, %v", code, err)
		}
		go func() { _, _ = p.End(soon); _ = p.Close() }()
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		o := s.end(t)
		if o.Kind != ending.PeerCode || o.By != ending.Peer || o.Reason != "mine" || o.Sent != 4000 || o.Received != 4000 {
			t.Errorf("got %v by %v, %q, sent %d, received %d", o.Kind, o.By, o.Reason, o.Sent, o.Received)
		}
	}
}

// TestDrainTimeout: the drain timeout ends the remaining connections.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{DrainTimeout: time.Second, CloseTimeout: 5 * time.Second})
	p := s.dial(t, wstest.DialOptions{})
	start := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 4*time.Second { // the close timeout is longer
		t.Errorf("the drain took %v", d)
	}
	if e, err := p.End(soon); err != nil || e.Code != 1001 {
		t.Errorf("the peer got %v, %v", e, err)
	}
	o := s.end(t)
	wantKind(t, o, ending.Drained)
	if o.Sent != 1001 {
		t.Errorf("sent: got %d", o.Sent)
	}
}

// TestDrainUnderLoad drains peers that continue to send, so the closing handshake and
// the handler read at the same time.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{CloseTimeout: server.MaxCloseTimeout})
	const peers = 30
	var wg sync.WaitGroup
	for range peers {
		p := s.dial(t, wstest.DialOptions{})
		wg.Go(func() {
			for p.Send(wstest.TextFrame("a"), wstest.TextFrame("b").Open(), wstest.Frame{Payload: make([]byte, 300)}, wstest.Frame{Fin: true}) == nil {
				time.Sleep(time.Millisecond)
			}
		})
		wg.Go(func() {
			if e, err := p.Answer(context.Background(), wstest.AnswerOptions{}); err != nil || e.Code != 1001 {
				t.Errorf("got %v, %v", e, err)
			}
			_ = p.Close()
		})
	}
	time.Sleep(50 * time.Millisecond)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	for range peers {
		wantKind(t, s.end(t), ending.Drained)
	}
}
