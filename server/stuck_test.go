package server_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A lockedBuffer is a log that tests read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// TestStuckHandler: a handler that does not return after the end of its context is
// reported once. The report is after ten seconds, or at the end of a drain.
func TestStuckHandler(t *testing.T) {
	const line = `level=WARN msg="a handler has not returned although its context has ended" id=1`
	for _, drained := range []bool{false, true} {
		var log lockedBuffer
		release := make(chan struct{})
		onPipes(t, func(ctx context.Context, c *server.Conn) error {
			_ = readAll(ctx, c)
			<-release
			return nil
		}, server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), DrainTimeout: time.Second, PingInterval: -1}, func(s *testServer, p *wstest.Peer) {
			release = make(chan struct{}) // of this bubble
			if !drained {
				send(t, p, wstest.CloseFrame(1000, ""))
				_, _ = p.Recv() // the answer
				time.Sleep(8 * time.Second)
				if n := log.count(line); n != 0 {
					t.Errorf("reported %d times after 8 s", n)
				}
				time.Sleep(time.Minute)
			} else {
				go p.End(time.Minute)
				if err := s.Shutdown(context.Background()); err == nil || !strings.Contains(err.Error(), "not returned") {
					t.Errorf("Shutdown: got %v", err)
				}
			}
			if n := log.count(line); n != 1 {
				t.Errorf("drained %v: reported %d times, want once; %s", drained, n, log.b.String())
			}
			close(release)
			time.Sleep(time.Second)
			if n := log.count("has not returned"); n != 1 {
				t.Errorf("drained %v: reported %d times", drained, n)
			}
		})
	}
}

// TestStuckHandlerPeer: the peer of a handler that does not return gets the end of the stream.
// The connection keeps its slot until the handler returns.
func TestStuckHandlerPeer(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"ws", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			defer close(release)
			stuck := func(ctx context.Context, c *server.Conn) error {
				_, _, err := c.Read(ctx)
				<-release
				return err
			}
			start := serve
			if scheme == "wss" {
				start = serveTLS
			}
			s := start(t, stuck, server.Options{PingInterval: -1})
			p := s.dial(t, wstest.DialOptions{})
			send(t, p, wstest.CloseFrame(1000, "bye"))
			finish(t, p, 1000)
			if n := s.open(); n != 1 {
				t.Errorf("got %d open connections, want 1", n)
			}
			release <- struct{}{}
			wantKind(t, s.end(t), ending.Normal)
		})
	}
}
