package server_test

import (
	"context"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestCrossingCloses: both sides close at about the same time. The Outcome names the
// side whose close frame the other side answered. The server sends one close frame,
// either its own or the answer.
func TestCrossingCloses(t *testing.T) {
	t.Parallel()
	conns := make(chan *server.Conn, 1)
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		conns <- c
		return readAll(ctx, c)
	}, server.Options{PingInterval: -1, CloseTimeout: server.MaxCloseTimeout})
	// The times shift so that each side is first in some rounds.
	var lead time.Duration
	won := make(map[ending.Side]int)
	for range testfull.N(500, 1500) {
		p := s.dial(t, wstest.DialOptions{})
		c := <-conns
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for time.Since(start) < 100*time.Microsecond+lead {
			}
			_ = c.Close(3001, "ours")
		}()
		for time.Since(start) < 100*time.Microsecond-lead {
		}
		send(t, p, wstest.CloseFrame(4999, "theirs"))
		e, err := p.End(soon)
		_ = p.Close()
		<-done
		o := s.end(t)
		want := server.Outcome{Ending: ending.Ending{Kind: ending.Closed, Code: 3001, Reason: "ours", By: ending.Local}}
		lead += 2 * time.Microsecond
		if e.Code == 4999 {
			want = server.Outcome{Ending: ending.OfClose(4999, "theirs")}
			lead -= 4 * time.Microsecond
		}
		won[o.By]++
		if err != nil || !e.FIN || o.Kind != want.Kind || o.By != want.By || o.Code != want.Code || o.Reason != want.Reason ||
			uint16(o.Sent) != e.Code || o.Received != 4999 {
			t.Errorf("got %v by %v, %d %q, sent %d, received %d; the peer got %v, %v",
				o.Kind, o.By, o.Code, o.Reason, o.Sent, o.Received, e, err)
		}
	}
	if won[ending.Local] == 0 || won[ending.Peer] == 0 {
		t.Errorf("only one side was ever first: %v", won)
	}
}
