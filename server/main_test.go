package server_test

import (
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/ending"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	testfull.Parallel(24, 12)
	alone.Store(rand.Uint32())
	os.Exit(wstest.VerifyNoLeaks(m))
}

// soon bounds each wait of a test. A test that passes never waits that long.
const soon = 20 * time.Second

// closeTimeout is the close timeout of the servers in these tests.
const closeTimeout = 500 * time.Millisecond

// unanswered is the close timeout of tests whose peers never answer a close frame.
const unanswered = 100 * time.Millisecond

// shortParkAfter is the ParkAfter of these tests. It parks a connection as soon as possible.
const shortParkAfter = 2 * time.Millisecond

func echoes(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }

// A testServer is a Server on a listener, for one test.
type testServer struct {
	*server.Server
	url  string
	ends chan server.Outcome
	stop func() error // cancels Serve's context and returns Serve's result

	mu   sync.Mutex
	seen map[uint64]int // outcomes by connection
}

// serve runs a Server on loopback until the end of the test. Then the Server must drain
// without an error, and each connection must have at most one Outcome.
func serve(tb testing.TB, h server.Handler, o server.Options) *testServer {
	tb.Helper()
	return serveOn(tb, listen(tb), h, o)
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// listenAlone listens on an address that no other listener uses, if the system has several.
// The clients of such a test may dial after the server's end, when another test may
// have its port.
func listenAlone(tb testing.TB) net.Listener {
	tb.Helper()
	n := alone.Add(1)
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 9+n>>16&63, n>>8&255, n&255))
	if err != nil {
		return listen(tb)
	}
	return l
}

// alone counts the addresses of listenAlone. TestMain sets it at random, because another
// process may run these tests too.
var alone atomic.Uint32

func serveTLS(tb testing.TB, h server.Handler, o server.Options) *testServer {
	tb.Helper()
	return serveTLSOn(tb, listen(tb), h, o)
}

func serveTLSOn(tb testing.TB, l net.Listener, h server.Handler, o server.Options) *testServer {
	tb.Helper()
	config, _ := wstest.TLS()
	s := serveOn(tb, tls.NewListener(l, config), h, o)
	s.url = "wss" + s.url[len("ws"):]
	return s
}

func serveOn(tb testing.TB, l net.Listener, h server.Handler, o server.Options) *testServer {
	tb.Helper()
	s := &testServer{ends: make(chan server.Outcome, 1000), seen: make(map[uint64]int), url: "ws://" + l.Addr().String() + "/"}
	o.CloseTimeout = cmp.Or(o.CloseTimeout, closeTimeout)
	onEnd := o.OnEnd
	o.OnEnd = func(end server.Outcome) {
		s.mu.Lock()
		s.seen[end.ID]++
		s.mu.Unlock()
		if onEnd != nil {
			onEnd(end)
		}
		select {
		case s.ends <- end:
		default:
			tb.Errorf("the test has not read %d outcomes", cap(s.ends))
		}
	}
	if l.Addr().Network() == "unix" {
		s.url = "ws://localhost/"
	}
	var err error
	if s.Server, err = server.New(h, o); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	var serveErr error
	go func() {
		defer close(served)
		serveErr = s.Serve(ctx, l)
	}()
	s.stop = func() error {
		cancel()
		<-served
		return serveErr
	}
	tb.Cleanup(func() {
		if err := s.stop(); err != nil && !errors.Is(err, errExpected) {
			tb.Errorf("Serve: got %v, want nil", err)
		}
		for c := range s.Connections() {
			tb.Errorf("still open after Serve: %+v", c)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for id, n := range s.seen {
			if n != 1 {
				tb.Errorf("connection %d: got %d outcomes, want 1", id, n)
			}
		}
	})
	return s
}

// errExpected is wrapped by the intended errors of a test's listener.
var errExpected = errors.New("on purpose")

// dial opens a connection and closes it at the end of the test.
func (s *testServer) dial(tb testing.TB, o wstest.DialOptions) *wstest.Peer {
	tb.Helper()
	if o.TLS == nil {
		_, o.TLS = wstest.TLS()
	}
	p, err := wstest.Dial(s.url, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

// raw opens a connection without the opening handshake.
func (s *testServer) raw(tb testing.TB) *wstest.Peer {
	tb.Helper()
	_, config := wstest.TLS()
	p, err := wstest.RawDial(s.url, wstest.DialOptions{TLS: config})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

// acceptedAll returns when the server has accepted each connection that was opened before.
// It opens one more, and closes it after the answer to a plain request.
func (s *testServer) acceptedAll(tb testing.TB) {
	tb.Helper()
	p := s.raw(tb)
	defer p.Close()
	if err := p.SendRaw([]byte("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")); err != nil {
		tb.Fatal(err)
	}
	r, err := p.ReadResponse()
	if err != nil {
		tb.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusOK {
		tb.Fatalf("got %s, want 200", r.Status)
	}
}

// end waits for the next Outcome.
func (s *testServer) end(tb testing.TB) server.Outcome {
	tb.Helper()
	select {
	case o := <-s.ends:
		return o
	case <-time.After(soon):
		tb.Fatalf("no connection ended within %v", soon)
		panic("unreachable")
	}
}

// open returns the number of connections.
func (s *testServer) open() (n int) {
	for range s.Connections() {
		n++
	}
	return n
}

// usesSlots waits until the server uses n slots. It releases one after OnEnd, and after the
// end of the stream.
func (s *testServer) usesSlots(tb testing.TB, n int) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("%d slots are used", n), func() bool { return s.UsedSlots() == n })
}

func send(tb testing.TB, p *wstest.Peer, frames ...wstest.Frame) {
	tb.Helper()
	if err := p.Send(frames...); err != nil {
		tb.Fatal(err)
	}
}

// receive reads a message and compares it.
func receive(tb testing.TB, p *wstest.Peer, opcode byte, text string) {
	tb.Helper()
	op, got, err := p.RecvMessage()
	if err != nil || op != opcode || string(got) != text {
		tb.Fatalf("got opcode %d, %.60q (%d bytes), %v, want opcode %d, %.60q (%d bytes)", op, got, len(got), err, opcode, text, len(text))
	}
}

// finish reads to the end of the stream and compares the close code. The stream must
// end with FIN, not RST.
func finish(tb testing.TB, p *wstest.Peer, code uint16) wstest.End {
	tb.Helper()
	e, err := p.End(soon)
	if err != nil || e.Code != code || !e.FIN {
		tb.Errorf("the peer got %v, %v, want code %d and FIN", e, err, code)
	}
	return e
}

// eventually waits until ok returns true.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for start := time.Now(); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > soon {
			tb.Fatalf("not within %v: %s", soon, what)
		}
	}
}

func wantKind(tb testing.TB, o server.Outcome, k ending.Kind) {
	tb.Helper()
	if o.Kind != k {
		tb.Errorf("got %v by %v, code %d, cause %v, want %v", o.Kind, o.By, o.Code, o.Cause, k)
	}
}

// readAll reads until the connection ends.
func readAll(ctx context.Context, c *server.Conn) error {
	for {
		_, r, err := c.Reader(ctx)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			return err
		}
	}
}

// deflate compresses as in RFC 7692, section 7.2.1.
func deflated(tb testing.TB, text string) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		tb.Fatal(err)
	}
	_, _ = io.WriteString(w, text)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}
