package deadpeer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) {
	if interval := os.Getenv(childVariable); interval != "" {
		if err := child(interval); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(wstest.VerifyNoLeaks(m))
}

// serve runs an echo server on loopback until terminate or the end of the test.
func serve(t *testing.T, o server.Options) (addr string, terminate func() error, ended <-chan struct{}) {
	t.Helper()
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(ctx, l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return l.Addr().String(), func() error { cancel(); return nil }, done
}

// scripted starts a server that echoes one message and then calls then.
func scripted(t *testing.T, then func(*wstest.Peer)) (addr string) {
	return strings.TrimPrefix(wstest.Serve(t, func(p *wstest.Peer) {
		if f, err := p.Recv(); err == nil {
			f.Masked = false
			if p.Send(f) == nil {
				then(p)
			}
		}
	}), "ws://")
}

const pause = 100 * time.Millisecond

func TestDead(t *testing.T) {
	beating, _, _ := serve(t, server.Options{PingInterval: pause, MaxMissed: 1, CloseTimeout: pause})
	for _, test := range []struct {
		name, addr  string
		bound       time.Duration
		least, most time.Duration
		ending      string
	}{
		{"heartbeat", beating, 20 * time.Second, pause, 10 * time.Second, `closed with 1001 "pings missed`},
		{"no heartbeat", scripted(t, wstest.Echo), 3 * pause, 0, 0, "nothing in 300ms"},
		{"code without a reason", scripted(t, func(p *wstest.Peer) {
			time.Sleep(pause)
			_ = p.Send(wstest.CloseFrame(1001, ""))
		}), 20 * time.Second, pause, 10 * time.Second, "closed with 1001"},
		{"no code", scripted(t, func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(0, "")) }), 20 * time.Second, 1, 10 * time.Second, "closed with no code"},
		{"FIN", scripted(t, func(p *wstest.Peer) { time.Sleep(pause) }), 20 * time.Second, pause, 10 * time.Second, "TCP closed without a close frame"},
		{"RST", scripted(t, func(p *wstest.Peer) {
			time.Sleep(pause)
			_ = p.RST()
		}), 20 * time.Second, pause, 10 * time.Second, "TCP reset without a close frame"},
		{"TCP stays open", scripted(t, func(p *wstest.Peer) {
			_ = p.Send(wstest.CloseFrame(1001, ""))
			wstest.Silent(p)
		}), 20 * time.Second, 1, 10 * time.Second, "closed with 1001, but TCP was still open 5."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			noticed, ending, err := Dead(t.Context(), test.addr, test.bound)
			if err != nil || noticed < test.least || noticed > test.most || !strings.HasPrefix(ending, test.ending) {
				t.Errorf("got %v, %s, %v, want %v to %v, %s", noticed, ending, err, test.least, test.most, test.ending)
			}
		})
	}
}

// TestDeadIsSilent checks that the client sends nothing after the message.
func TestDeadIsSilent(t *testing.T) {
	received := make(chan wstest.Frame, 1)
	addr := scripted(t, func(p *wstest.Peer) {
		p.Timeout = 3 * pause
		if p.Send(wstest.PingFrame("?"), wstest.CloseFrame(1000, "")) == nil {
			f, err := p.Recv()
			if err == nil {
				received <- f
			}
		}
	})
	if _, _, err := Dead(t.Context(), addr, 20*time.Second); err != nil {
		t.Error(err)
	}
	select {
	case f := <-received:
		t.Errorf("the client sent %v", f)
	default:
	}
}

func TestDrain(t *testing.T) {
	t.Run("every client receives a close frame", func(t *testing.T) {
		t.Parallel()
		addr, terminate, ended := serve(t, server.Options{CloseTimeout: 3 * pause})
		receivedClose, endings, took, err := Drain(t.Context(), addr, 40, terminate, ended, 30*time.Second)
		// The server waits for the half that does not answer.
		if receivedClose != 1 || !strings.HasPrefix(endings, "closed with 1001") || strings.Contains(endings, ";") || took < 3*pause || err != nil {
			t.Errorf("got %v, %s, %v, %v", receivedClose, endings, took, err)
		}
	})
	for _, test := range []struct {
		name          string
		then          func(n int64, p *wstest.Peer)
		receivedClose float64
		endings       string
	}{
		{"no close frame", func(int64, *wstest.Peer) {}, 0, "TCP closed without a close frame"},
		{"a close frame for a quarter", func(n int64, p *wstest.Peer) {
			if n%4 == 0 {
				_ = p.Send(wstest.CloseFrame(1001, "bye"))
			}
		}, 0.25, `9: TCP closed without a close frame; 3: closed with 1001 "bye"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			terminated, ended := make(chan struct{}), make(chan struct{})
			var n atomic.Int64
			addr := scripted(t, func(p *wstest.Peer) {
				i := n.Add(1)
				<-terminated
				test.then(i, p)
			})
			terminate := func() error {
				close(terminated)
				time.AfterFunc(pause, func() { close(ended) })
				return nil
			}
			share, endings, took, err := Drain(t.Context(), addr, 12, terminate, ended, 30*time.Second)
			if share != test.receivedClose || endings != test.endings || took < pause || took > 20*time.Second || err != nil {
				t.Errorf("got %v, %s, %v, %v, want %v, %s", share, endings, took, err, test.receivedClose, test.endings)
			}
		})
	}
	t.Run("the server does not end", func(t *testing.T) {
		t.Parallel()
		share, endings, took, err := Drain(t.Context(), scripted(t, wstest.Silent), 2, func() error { return nil }, nil, 2*pause)
		if share != 0 || endings != "no close frame, TCP open; the server still ran after 200ms" || took != 0 || err != nil {
			t.Errorf("got %v, %s, %v, %v", share, endings, took, err)
		}
	})
}

// TestDrainHalfAnswers counts the answers to close frames.
func TestDrainHalfAnswers(t *testing.T) {
	terminated, ended := make(chan struct{}), make(chan struct{})
	var answers atomic.Int64
	addr := scripted(t, func(p *wstest.Peer) {
		<-terminated
		p.Timeout = 20 * pause
		if p.Send(wstest.CloseFrame(1001, "")) != nil {
			return
		}
		if f, err := p.Recv(); err == nil && f.Opcode == wstest.Close {
			answers.Add(1)
		}
	})
	terminate := func() error { close(terminated); close(ended); return nil }
	if share, endings, _, err := Drain(t.Context(), addr, 10, terminate, ended, 30*time.Second); share != 1 || err != nil {
		t.Errorf("got %v, %s, %v", share, endings, err)
	}
	if n := answers.Load(); n != 5 {
		t.Errorf("%d of 10 answered, want 5", n)
	}
}

func TestErrors(t *testing.T) {
	const closed = "127.0.0.1:1" // where nothing listens; another test could get a port that was closed
	wrong := strings.TrimPrefix(wstest.Serve(t, func(p *wstest.Peer) { _ = p.Send(wstest.TextFrame("no")) }), "ws://")
	silent := scripted(t, wstest.Silent)
	bad, enough := errors.New("bad"), errors.New("enough")
	none := func() error { return nil }
	drain := func(addr string, n int, terminate func() error) func(context.Context) error {
		return func(ctx context.Context) error {
			_, _, _, err := Drain(ctx, addr, n, terminate, nil, 20*time.Second)
			return err
		}
	}
	dead := func(addr string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, _, err := Dead(ctx, addr, 20*time.Second)
			return err
		}
	}
	for name, test := range map[string]struct {
		do   func(context.Context) error
		want string
	}{
		"dead, no listener":     {dead(closed), "refused"},
		"dead, no echo":         {dead(wrong), `the echo is "no"`},
		"dead, interrupted":     {dead(silent), enough.Error()},
		"drain, no listener":    {drain(closed, 2, none), "refused"},
		"drain, no echo":        {drain(wrong, 2, none), `the echo is "no"`},
		"drain, no clients":     {drain(silent, 0, none), "at least one"},
		"drain, not terminated": {drain(silent, 2, func() error { return bad }), bad.Error()},
		"drain, interrupted":    {drain(silent, 2, none), enough.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			timer := time.AfterFunc(3*pause, func() { cancel(enough) })
			defer timer.Stop()
			began := time.Now()
			if err := test.do(ctx); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}
