package fault_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/fault"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	testfull.Parallel(16, 8)
	os.Exit(wstest.VerifyNoLeaks(m))
}

// soon bounds each wait of a test. A test that passes never waits that long.
const soon = 20 * time.Second

// A testServer is an echo server with faults, for one test.
type testServer struct {
	url  string
	ends chan server.Outcome
	log  lockedBuffer
	stop context.CancelFunc // begins the drain
}

// serve runs an echo server until the end of the test.
func serve(t *testing.T, o server.Options) *testServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, o)
}

func serveOn(t *testing.T, l net.Listener, o server.Options) *testServer {
	t.Helper()
	ts := &testServer{url: "ws://" + l.Addr().String(), ends: make(chan server.Outcome, 100)}
	o.PerConn = fault.PerConn(echo.Serve, fault.Options{})
	o.PingInterval = cmp.Or(o.PingInterval, -1) // the first ping comes at a random time
	o.OnEnd = func(o server.Outcome) { ts.ends <- o }
	o.CloseTimeout = 500 * time.Millisecond
	o.HandshakeTimeout = time.Minute // the machine may be busy
	o.Logger = slog.New(slog.NewTextHandler(&ts.log, nil))
	o.ParkAfter = time.Second
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ts.stop = cancel
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ts
}

func (ts *testServer) dial(t *testing.T, path string) *wstest.Peer {
	t.Helper()
	return ts.dialWith(t, path, wstest.DialOptions{})
}

func (ts *testServer) dialWith(t *testing.T, path string, o wstest.DialOptions) *wstest.Peer {
	t.Helper()
	o.Timeout = soon
	p, err := wstest.Dial(ts.url+path, o)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// outcome waits for the next Outcome.
func (ts *testServer) outcome(t *testing.T) server.Outcome {
	t.Helper()
	select {
	case o := <-ts.ends:
		return o
	case <-time.After(soon):
		t.Fatal("no connection has ended")
		panic("unreachable")
	}
}

func send(t *testing.T, p *wstest.Peer, frames ...wstest.Frame) {
	t.Helper()
	if err := p.Send(frames...); err != nil {
		t.Fatal(err)
	}
}

// receive compares the next frame.
func receive(t *testing.T, p *wstest.Peer, want wstest.Frame) {
	t.Helper()
	got, err := p.Recv()
	if err != nil || got.Fin != want.Fin || got.Rsv != want.Rsv || got.Opcode != want.Opcode || !bytes.Equal(got.Payload, want.Payload) {
		t.Fatalf("got %v, %v, want %v", got, err, want)
	}
}

// exchange sends a text and receives its echo.
func exchange(t *testing.T, p *wstest.Peer, text string) {
	t.Helper()
	send(t, p, wstest.TextFrame(text))
	receive(t, p, wstest.TextFrame(text))
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
