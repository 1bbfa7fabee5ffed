package probe_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/probe"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// between is a proxy that answers pings itself, in front of a server. The first pong
// precedes the first echo.
func between(t *testing.T, url string) string {
	return wstest.Serve(t, func(client *wstest.Peer) {
		upstream, err := wstest.Dial(url, wstest.DialOptions{})
		if err != nil {
			return
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		defer upstream.Close()
		ponged := make(chan struct{})
		release := sync.OnceFunc(func() { close(ponged) })
		defer release()
		wg.Go(func() {
			_, _ = upstream.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
				if f.Opcode == wstest.Text {
					<-ponged
					_ = client.Send(f)
				}
			}})
		})
		for {
			f, err := client.Recv()
			if err != nil || f.Opcode == wstest.Close {
				return
			}
			if f.Opcode == wstest.Ping {
				err = client.Send(wstest.PongFrame(string(f.Payload)))
				release()
			} else {
				f.Masked = false
				err = upstream.Send(f)
			}
			if err != nil {
				return
			}
		}
	})
}

// TestPongs checks that our server is recognised always, and something in between too.
func TestPongs(t *testing.T) {
	start := func(o server.Options, serve bool) string {
		s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, o)
		if err != nil {
			t.Fatal(err)
		}
		if !serve {
			hs := httptest.NewServer(s)
			t.Cleanup(hs.Close)
			return "ws" + strings.TrimPrefix(hs.URL, "http")
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		t.Cleanup(func() { stop(); <-done })
		return "ws://" + l.Addr().String()
	}
	servers := map[string]string{
		"ours":           start(server.Options{}, false),
		"ours, by Serve": start(server.Options{}, true),
		"ours, parked":   start(server.Options{ParkAfter: time.Millisecond}, true),
		"wstest":         wstest.Serve(t, wstest.Echo),
	}
	proxy := between(t, servers["wstest"])
	o := probe.Options{Timeout: waitLimit}
	for range testfull.N(4, 50) {
		for name, url := range servers {
			if got, why, err := probe.Pongs(t.Context(), url, o); got != probe.PongsByServer || err != nil {
				t.Fatalf("%s: got %v, %q, %v", name, got, why, err)
			}
		}
		if got, why, err := probe.Pongs(t.Context(), proxy, o); got != probe.PongsAhead || !strings.Contains(why, "pong 1 came before echo 1") || err != nil {
			t.Fatalf("a proxy: got %v, %q, %v", got, why, err)
		}
	}
}

// TestPongsUnknown checks what cannot be known, and servers that stall.
func TestPongsUnknown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handle func(*wstest.Peer)
		why    string
	}{
		"no echo": {answers(wstest.AnswerOptions{}), "pings were answered and no message was echoed"},
		"no pong": {answers(wstest.AnswerOptions{Echo: true, NoPong: true}), "echo 2 came before pong 1"},
		"nothing": {wstest.Silent, "0 of 8 pongs and 0 of 8 echoes came: no whole answer within the 4s of the timeout"},
		"a close": {func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1008, "")); _, _ = p.End(waitLimit) }, "it closed the connection"},
		"a reverse": {func(p *wstest.Peer) {
			var texts []string
			for len(texts) < 16 {
				f, err := p.Recv()
				if err != nil {
					return
				}
				texts = append(texts, string(f.Payload))
			}
			_ = p.Send(wstest.TextFrame(texts[15]))
			_, _ = p.End(waitLimit)
		}, "in another order"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, why, err := probe.Pongs(t.Context(), wstest.Serve(t, test.handle), probe.Options{Timeout: stall})
			if got != probe.PongsUnknown || !strings.Contains(why, test.why) || err != nil {
				t.Errorf("got %v, %q, %v", got, why, err)
			}
		})
	}
	_, _, err := probe.Pongs(t.Context(), "ws://127.0.0.1:1/", probe.Options{})
	if e := (*probe.Error)(nil); !errors.As(err, &e) || e.Step != probe.Connect {
		t.Errorf("no server: got %v", err)
	}
}
