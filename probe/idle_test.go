package probe_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/internal/handshake"
	"example.com/wsecho/probe"
	"example.com/wsecho/wstest"
)

// An idleServer ends or forgets connections on which nothing was received for a time.
type idleServer struct {
	timeout time.Duration
	visible bool          // it ends the stream; otherwise it only stops to answer
	code    uint16        // of a close frame before that
	any     bool          // pongs count, too
	sends   time.Duration // the time between two messages of the server; 0: none
}

func (s idleServer) handle(p *wstest.Peer) {
	if p.Timeout != -1 { // a timer of the caller may send
		p.Timeout = -1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	idle := time.AfterFunc(s.timeout, func() {
		if s.code != 0 {
			_ = p.Send(wstest.CloseFrame(s.code, "idle"))
		}
		if s.visible {
			p.Close()
			return
		}
		cancel()
	})
	defer idle.Stop()
	if s.sends > 0 {
		stop := time.AfterFunc(0, func() {
			for ctx.Err() == nil && p.Send(wstest.TextFrame("hello")) == nil {
				time.Sleep(s.sends)
			}
		})
		defer stop.Stop()
	}
	_, _ = p.Answer(ctx, wstest.AnswerOptions{Each: func(f wstest.Frame) {
		if f.Opcode == wstest.Ping || s.any {
			idle.Reset(s.timeout)
		}
	}})
	if !s.visible {
		_, _ = p.End(time.Hour) // reads, and does not answer
	}
}

// TestFindIdle finds timeouts of each kind, in synthetic time.
func TestFindIdle(t *testing.T) {
	for name, test := range map[string]struct {
		server  idleServer
		silent  probe.Silence
		max     time.Duration
		seen    bool
		code    int
		forever bool
	}{
		"a proxy that closes":   {server: idleServer{timeout: time.Minute, visible: true}, seen: true},
		"short":                 {server: idleServer{timeout: time.Second, visible: true}, seen: true},
		"a firewall":            {server: idleServer{timeout: 350 * time.Second}},
		"a close frame":         {server: idleServer{timeout: 100 * time.Second, visible: true, code: 1001}, seen: true, code: 1001},
		"the client is active":  {server: idleServer{timeout: 30 * time.Second, visible: true}, silent: probe.ServerSilent, seen: true},
		"activity prevents it":  {server: idleServer{timeout: 30 * time.Second, visible: true, any: true}, silent: probe.ServerSilent, max: 2 * time.Minute, forever: true},
		"both are active":       {server: idleServer{timeout: 30 * time.Second, visible: true, any: true, sends: 300 * time.Millisecond}, silent: probe.ServerSilent, max: 2 * time.Minute, forever: true},
		"no timeout":            {server: idleServer{timeout: time.Hour}, max: 5 * time.Minute, forever: true},
		"the server sends more": {server: idleServer{timeout: 20 * time.Second, visible: true, sends: 7 * time.Second}, seen: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, last := time.Now(), 0
				r, err := probe.FindIdle(t.Context(), "ws://a.example/", probe.IdleOptions{
					Connect: probe.Options{DialContext: pipe(test.server.handle), Timeout: 5 * time.Second}, Silent: test.silent, Max: test.max,
					OnProgress: func(r probe.IdleResult) { last = r.Trials },
				})
				took := time.Since(began)
				if err != nil || last != r.Trials || r.Trials < 2 || r.ServerSent != (test.server.sends > 0) {
					t.Errorf("got %+v, %v", r, err)
				}
				limit := test.server.timeout
				switch {
				case test.forever:
					if r.Failed != 0 || r.Survived < test.max*99/100 {
						t.Errorf("got %+v, want no timeout", r)
					}
				case r.Survived < limit*95/100 || r.Survived > limit || r.Failed < limit || r.Failed > limit*105/100:
					t.Errorf("got %v to %v, want %v", r.Survived, r.Failed, limit)
				case r.Seen != test.seen || r.Code != test.code || test.code != 0 && r.Reason != "idle":
					t.Errorf("got %+v", r)
				case took > 6*limit+30*time.Second:
					t.Errorf("it took %v", took)
				}
				time.Sleep(2 * time.Hour) // the servers end
				synctest.Wait()
			})
		})
	}
}

// TestFindIdleInexact checks the order of the two silences if the timeouts of the connections
// differ by up to 2.5 %.
func TestFindIdleInexact(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(seed, 0))
			handle := func(p *wstest.Peer) {
				mu.Lock()
				timeout := time.Minute - time.Duration(random.Int64N(int64(time.Minute/40)))
				mu.Unlock()
				idleServer{timeout: timeout, visible: true}.handle(p)
			}
			r, err := probe.FindIdle(t.Context(), "ws://a.example/", probe.IdleOptions{
				Connect: probe.Options{DialContext: pipe(handle), Timeout: 5 * time.Second}})
			if err != nil || r.Survived >= r.Failed || r.Survived < 56*time.Second || r.Failed > time.Minute {
				t.Errorf("seed %d: got %v to %v, %v", seed, r.Survived, r.Failed, err)
			}
			time.Sleep(2 * time.Hour) // the servers end
			synctest.Wait()
		})
	}
}

// TestFindIdleForeign checks that an end for another reason is no result. The timeout is
// that of a firewall, which forgets a connection.
func TestFindIdleForeign(t *testing.T) {
	const timeout = time.Minute
	for name, test := range map[string]struct {
		ends    func(n int) time.Duration // the foreign end of the connection n; 0: none
		code    uint16                    // of its close frame; 0: none
		rounds  time.Duration             // times its number is the end of all connections of a round; 0: none
		forever bool
		wrong   bool
	}{
		"one of the first": {ends: func(n int) time.Duration { return map[int]time.Duration{7: 10 * time.Second, 8: 10 * time.Second}[n] }},
		"a restart": {ends: func(n int) time.Duration {
			if n <= 8 {
				return 70 * time.Second
			}
			return 0
		}, code: 1001},
		"a restart in the second round": {ends: func(n int) time.Duration {
			if n > 8 && n <= 16 {
				return 5 * time.Second
			}
			return 0
		}, code: 1001},
		"no timeout": {ends: func(n int) time.Duration { return map[int]time.Duration{7: 10 * time.Second}[n] }, forever: true},
		"too often":  {rounds: 10 * time.Second, forever: true, wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n, open, rounds atomic.Int64
				var peers sync.Map
				s := idleServer{timeout: timeout}
				if test.forever {
					s.timeout = time.Hour
				}
				handle := func(p *wstest.Peer) {
					p.Timeout = -1
					defer open.Add(-1)
					after := time.Duration(0)
					if test.ends != nil {
						after = test.ends(int(n.Add(1)))
					}
					peers.Store(p, nil)
					defer peers.Delete(p)
					if open.Add(1) == 8 && test.rounds > 0 {
						time.AfterFunc(test.rounds*time.Duration(rounds.Add(1)), func() {
							peers.Range(func(p, _ any) bool { p.(*wstest.Peer).Close(); return true })
						})
					}
					if after > 0 {
						defer time.AfterFunc(after, func() {
							if test.code != 0 {
								_ = p.Send(wstest.CloseFrame(test.code, "restart"))
							}
							p.Close()
						}).Stop()
					}
					s.handle(p)
				}
				r, err := probe.FindIdle(t.Context(), "ws://a.example/", probe.IdleOptions{
					Connect: probe.Options{DialContext: pipe(handle), Timeout: 5 * time.Second}})
				switch {
				case test.wrong:
					if err == nil || !strings.Contains(err.Error(), "differ from one connection to the next") {
						t.Errorf("got %+v, %v", r, err)
					}
				case err != nil || r.Seen || r.Code != 0 || r.Reason != "":
					t.Errorf("got %+v, %v", r, err)
				case test.forever:
					if r.Failed != 0 || r.Survived < probe.DefaultMaxIdle*99/100 {
						t.Errorf("got %+v, want no timeout", r)
					}
				case r.Survived < timeout*95/100 || r.Survived > timeout || r.Failed < timeout || r.Failed > timeout*105/100:
					t.Errorf("got %v to %v, want %v", r.Survived, r.Failed, timeout)
				}
				time.Sleep(2 * time.Hour) // the servers end
				synctest.Wait()
			})
		})
	}
}

// TestFindIdleFails checks the errors.
func TestFindIdleFails(t *testing.T) {
	_, err := probe.FindIdle(t.Context(), "ws://127.0.0.1:1/", probe.IdleOptions{})
	if e := (*probe.Error)(nil); !errors.As(err, &e) || e.Step != probe.Connect {
		t.Errorf("no server: got %v", err)
	}
	_, err = probe.FindIdle(t.Context(), "ws://127.0.0.1:1/", probe.IdleOptions{Max: 1})
	if e := (*handshake.FieldError)(nil); !errors.As(err, &e) || e.Field != "Max" {
		t.Errorf("a wrong Max: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	url := wstest.Serve(t, wstest.Echo)
	time.AfterFunc(300*time.Millisecond, cancel)
	if _, err = probe.FindIdle(ctx, url, probe.IdleOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: got %v", err)
	}
}

// A cancelBeforeDeadline cancels before it sets a read deadline that is far away.
type cancelBeforeDeadline struct {
	net.Conn
	once   *atomic.Bool
	cancel func()
}

func (c cancelBeforeDeadline) SetReadDeadline(t time.Time) error {
	if time.Until(t) > time.Second && c.once.CompareAndSwap(false, true) {
		c.cancel()
		synctest.Wait() // until the functions of the context have set their deadlines
	}
	return c.Conn.SetReadDeadline(t)
}

// TestFindIdleCancelled ends the context at the moment at which a read deadline is set. That
// of the end of the context stays.
func TestFindIdleCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		dial, once := pipe(idleServer{timeout: time.Hour}.handle), new(atomic.Bool)
		began := time.Now()
		_, err := probe.FindIdle(ctx, "ws://a.example/", probe.IdleOptions{Connect: probe.Options{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := dial(ctx, network, address)
				return cancelBeforeDeadline{c, once, cancel}, err
			},
		}})
		if took := time.Since(began); !errors.Is(err, context.Canceled) || took > time.Second {
			t.Errorf("got %v after %v", err, took)
		}
		time.Sleep(2 * time.Hour) // the servers end
	})
}
