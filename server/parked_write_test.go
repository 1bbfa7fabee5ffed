package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestParkedWriteStalls: a write of another goroutine, or the answer to a ping, stalls on a
// parked connection without a heartbeat. The connection ends as one that is not parked does.
func TestParkedWriteStalls(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(c *server.Conn, p *wstest.Peer){
		"Write": func(c *server.Conn, _ *wstest.Peer) {
			_ = c.Write(context.Background(), websocket.MessageBinary, make([]byte, 1<<20))
		},
		"pong": func(_ *server.Conn, p *wstest.Peer) {
			for range 1000 { // a full socket may still accept the first ones
				_ = p.Send(wstest.PingFrame(strings.Repeat("?", 125)))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := capture(listen(t))
			conns := make(chan *server.Conn, 1)
			s := serveOn(t, l, echoes, server.Options{
				ParkAfter: shortParkAfter, PingInterval: -1, WriteTimeout: 200 * time.Millisecond,
				OnStart: func(c *server.Conn) { conns <- c },
			})
			p := s.dial(t, wstest.DialOptions{})
			eventually(t, "the connection is parked", func() bool { return s.Parked() == 1 })
			fillSocket(t, <-l.accepted)
			write(<-conns, p)
			wantKind(t, s.end(t), ending.WriteStalled)
			_ = p.Close()
		})
	}
}
