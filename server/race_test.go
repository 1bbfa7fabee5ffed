package server_test

import (
	"context"
	"iter"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// Run these tests repeatedly: go test -race -count=300 -run Race.

// TestRaceOrders ends a connection by four events at about the same time, started in every
// order. They are a Close of the handler, a drain, a waiting Ping, and the peer while a
// reader waits.
func TestRaceOrders(t *testing.T) {
	t.Parallel()
	round := 0
	for _, peer := range []string{"peer FIN", "peer closes"} {
		for order := range permutations([]string{"Close", "drain", "Ping", peer}) {
			actions := slices.Clone(order)
			round++
			round := round
			t.Run(strings.Join(actions, ", "), func(t *testing.T) {
				t.Parallel()
				const gap = 50 * time.Microsecond
				race(t, round, actions, []time.Duration{0, gap, 2 * gap, 3 * gap},
					server.Options{CloseTimeout: 20 * time.Millisecond, DrainTimeout: time.Second})
			})
		}
	}
}

// permutations yields every order of s, as s.
func permutations(s []string) iter.Seq[[]string] {
	var rest func(n int, yield func([]string) bool) bool
	rest = func(n int, yield func([]string) bool) bool {
		if n == len(s) {
			return yield(s)
		}
		for i := n; i < len(s); i++ {
			s[n], s[i] = s[i], s[n]
			if !rest(n+1, yield) {
				return false
			}
			s[n], s[i] = s[i], s[n]
		}
		return true
	}
	return func(yield func([]string) bool) { rest(0, yield) }
}

// TestCloseRaces ends a connection by several events at about the same time. The
// connection has one Outcome with a documented kind, and leaves no resources.
func TestCloseRaces(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	actions := []string{"peer closes", "peer FIN", "peer RST", "garbage", "half a message", "messages", "pings",
		"drain", "Close", "CloseNow", "handler returns", "handler panics", "context", "Ping", "Write"}
	for round := range 8 {
		// Up to four events, each after up to one millisecond.
		var chosen []string
		var when []time.Duration
		for range 1 + r.IntN(4) {
			chosen = append(chosen, actions[r.IntN(len(actions))])
			when = append(when, time.Duration(r.IntN(1000))*time.Microsecond)
		}
		mode := websocket.CompressionMode(r.IntN(2))
		o := server.Options{
			Compression: mode, CloseTimeout: 20 * time.Millisecond, DrainTimeout: time.Second,
			PingInterval: time.Duration(1+r.IntN(50)) * time.Millisecond, WriteTimeout: 100 * time.Millisecond,
		}
		t.Run(strings.Join(chosen, ", "), func(t *testing.T) {
			t.Parallel()
			race(t, round, chosen, when, o)
		})
	}
}

func race(t *testing.T, round int, actions []string, when []time.Duration, o server.Options) {
	t.Helper()
	var s *server.Server
	var mu sync.Mutex
	ends := make(map[uint64][]server.Outcome)
	o.OnEnd = func(end server.Outcome) {
		mu.Lock()
		defer mu.Unlock()
		ends[end.ID] = append(ends[end.ID], end)
	}
	var background sync.WaitGroup
	conns := make(chan *server.Conn, 1)
	out := make(chan string, 1)
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		conns <- c
		readCtx, cancel := context.WithCancel(ctx)
		defer cancel()
		reading := make(chan error, 1)
		background.Go(func() {
			reading <- func() error {
				for {
					typ, p, err := c.Read(readCtx)
					if err != nil {
						return err
					}
					if err := c.Write(ctx, typ, p); err != nil {
						return err
					}
				}
			}()
		})
		select {
		case err := <-reading:
			return err
		case <-ctx.Done():
			return nil
		case how := <-out:
			switch how {
			case "handler panics":
				panic(how)
			case "context":
				cancel()
				return <-reading
			}
			return nil
		}
	}, o)
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
	p, err := wstest.Dial("ws://"+l.Addr().String(), wstest.DialOptions{Extensions: "permessage-deflate"})
	if err != nil {
		t.Fatal(err)
	}
	c := <-conns
	short, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = p.Answer(short, wstest.AnswerOptions{NoClose: round%2 == 0}) })
	for i, action := range actions {
		wg.Go(func() {
			time.Sleep(when[i])
			switch action {
			case "peer closes":
				_ = p.Send(wstest.CloseFrame(1000, ""))
			case "peer FIN":
				_ = p.FIN()
			case "peer RST":
				_ = p.RST()
			case "garbage":
				_ = p.SendRaw([]byte("\xff\xff\xff\xff\xff"))
			case "half a message":
				_ = p.Send(wstest.TextFrame("half").Open())
			case "messages":
				for range 20 {
					_ = p.Send(wstest.TextFrame("a"), wstest.BinaryFrame(make([]byte, 5000)))
				}
			case "pings":
				for range 20 {
					_ = p.Send(wstest.PingFrame("a"), wstest.PongFrame("b"))
				}
			case "drain":
				cancel()
			case "Close":
				_ = c.Close(4000, "")
			case "CloseNow":
				_ = c.CloseNow()
			case "Ping":
				_ = c.Ping(short)
			case "Write":
				_ = c.Write(short, websocket.MessageBinary, make([]byte, 100_000))
			default:
				select {
				case out <- action:
				default:
				}
			}
		})
	}
	wg.Wait()
	stop()
	cancel()
	select {
	case err = <-served:
	case <-time.After(soon):
		t.Fatalf("%v after %v: Serve has not returned", actions, when)
	}
	_ = p.Close()
	background.Wait()
	mu.Lock()
	defer mu.Unlock()
	if err != nil || len(ends) != 1 || len(ends[1]) != 1 || (&testServer{Server: s}).open() != 0 {
		t.Errorf("%v after %v: Serve: %v, outcomes: %+v", actions, when, err, ends)
		return
	}
	if o := ends[1][0]; o.Kind == 0 || o.Kind.String() == "unknown" {
		t.Errorf("%v after %v: got %v, cause %v", actions, when, o.Kind, o.Cause)
	}
}
