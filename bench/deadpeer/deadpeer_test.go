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

// serve runs an echo on loopback until terminate or the end of the test.
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

// scripted is a server that echoes one message and then does what it is told.
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
		said        string
	}{
		{"heartbeat", beating, 20 * time.Second, pause, 10 * time.Second, `closed with 1001 "pings missed`},
		{"never", scripted(t, wstest.Echo), 3 * pause, 0, 0, "nothing in 300ms"},
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
		{"TCP held open", scripted(t, func(p *wstest.Peer) {
			_ = p.Send(wstest.CloseFrame(1001, ""))
			wstest.Silent(p)
		}), 5 * pause, 1, 4 * pause, "closed with 1001, but TCP was still open 5."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			noticed, said, err := Dead(t.Context(), test.addr, test.bound)
			if err != nil || noticed < test.least || noticed > test.most || !strings.HasPrefix(said, test.said) {
				t.Errorf("got %v, %s, %v, want %v to %v, %s", noticed, said, err, test.least, test.most, test.said)
			}
		})
	}
}

// TestDeadIsSilent sees what a server hears after the message.
func TestDeadIsSilent(t *testing.T) {
	heard := make(chan wstest.Frame, 1)
	addr := scripted(t, func(p *wstest.Peer) {
		p.Timeout = 3 * pause
		if p.Send(wstest.PingFrame("?"), wstest.CloseFrame(1000, "")) == nil {
			f, err := p.Recv()
			if err == nil {
				heard <- f
			}
		}
	})
	if _, _, err := Dead(t.Context(), addr, 20*time.Second); err != nil {
		t.Error(err)
	}
	select {
	case f := <-heard:
		t.Errorf("the client sent %v", f)
	default:
	}
}

func TestDrain(t *testing.T) {
	t.Run("all are told", func(t *testing.T) {
		t.Parallel()
		addr, terminate, ended := serve(t, server.Options{CloseTimeout: 3 * pause})
		told, said, took, err := Drain(t.Context(), addr, 40, terminate, ended, 30*time.Second)
		// Half of them do not answer, which the server waits for.
		if told != 1 || !strings.HasPrefix(said, "closed with 1001") || strings.Contains(said, ";") || took < 3*pause || err != nil {
			t.Errorf("got %v, %s, %v, %v", told, said, took, err)
		}
	})
	for _, test := range []struct {
		name string
		then func(n int64, p *wstest.Peer)
		told float64
		said string
	}{
		{"nobody", func(int64, *wstest.Peer) {}, 0, "TCP closed without a close frame"},
		{"a quarter", func(n int64, p *wstest.Peer) {
			if n%4 == 0 {
				_ = p.Send(wstest.CloseFrame(1001, "bye"))
			}
		}, 0.25, `9: TCP closed without a close frame; 3: closed with 1001 "bye"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			told, ended := make(chan struct{}), make(chan struct{})
			var n atomic.Int64
			addr := scripted(t, func(p *wstest.Peer) {
				i := n.Add(1)
				<-told
				test.then(i, p)
			})
			terminate := func() error {
				close(told)
				time.AfterFunc(pause, func() { close(ended) })
				return nil
			}
			share, said, took, err := Drain(t.Context(), addr, 12, terminate, ended, 30*time.Second)
			if share != test.told || said != test.said || took < pause || took > 20*time.Second || err != nil {
				t.Errorf("got %v, %s, %v, %v, want %v, %s", share, said, took, err, test.told, test.said)
			}
		})
	}
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		share, said, took, err := Drain(t.Context(), scripted(t, wstest.Silent), 2, func() error { return nil }, nil, 2*pause)
		if share != 0 || said != "no close frame, TCP open; the server still ran after 200ms" || took != 0 || err != nil {
			t.Errorf("got %v, %s, %v, %v", share, said, took, err)
		}
	})
}

// TestDrainHalfAnswers counts the answers to close frames.
func TestDrainHalfAnswers(t *testing.T) {
	told, ended := make(chan struct{}), make(chan struct{})
	var answers atomic.Int64
	addr := scripted(t, func(p *wstest.Peer) {
		<-told
		p.Timeout = 3 * pause
		if p.Send(wstest.CloseFrame(1001, "")) != nil {
			return
		}
		if f, err := p.Recv(); err == nil && f.Opcode == wstest.Close {
			answers.Add(1)
		}
	})
	terminate := func() error { close(told); close(ended); return nil }
	if share, said, _, err := Drain(t.Context(), addr, 10, terminate, ended, 30*time.Second); share != 1 || err != nil {
		t.Errorf("got %v, %s, %v", share, said, err)
	}
	if n := answers.Load(); n != 5 {
		t.Errorf("%d of 10 answered, want 5", n)
	}
}

func TestErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
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
		"dead, nobody listens":  {dead(closed), "refused"},
		"dead, no echo":         {dead(wrong), `the echo is "no"`},
		"dead, interrupted":     {dead(silent), enough.Error()},
		"drain, nobody listens": {drain(closed, 2, none), "refused"},
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
