package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	testfull.Parallel(16, 4)
	os.Exit(wstest.VerifyNoLeaks(m))
}

// kinds are the streams under a Conn. The first uses the raw path, the others the plain
// path.
var kinds = []string{"tcp", "pipe", "tls"}

// over returns the two ends of a stream, which the end of the test closes.
func over(tb testing.TB, kind string) (server, client net.Conn) {
	tb.Helper()
	if kind == "pipe" {
		server, client = net.Pipe()
	} else {
		server, client = loopback(tb)
	}
	if kind == "tls" {
		s, c := wstest.TLS()
		c.ServerName = "localhost"
		ts, tc := tls.Server(server, s), tls.Client(client, c)
		done := make(chan error, 1)
		go func() { done <- tc.Handshake() }()
		if err := errors.Join(ts.Handshake(), <-done); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { server.Close(); client.Close() })
		return ts, tc
	}
	tb.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

func loopback(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		tb.Fatal(err)
	}
	return server, client
}

// options returns the options of most tests: no timeouts, the smallest buffers.
func options() Options {
	return Options{Read: NewPool(0), Write: NewPool(0), ReadLimit: -1}
}

// trusted returns a Conn whose reader is trusted, so that replies are batched. If
// noFlusher is true, the Flusher does not send them.
func trusted(sock net.Conn, first []byte, o Options, noFlusher bool) *Conn {
	if o.Flusher = new(Flusher); noFlusher {
		o.Flusher.outputs = make([]*output, 1) // only the first one arms the timer
	}
	c := New(sock, first, o)
	c.out.trusted.Store(true)
	return c
}

// accept returns a coder connection over c, as package server makes it.
func accept(tb testing.TB, c *Conn) *websocket.Conn {
	tb.Helper()
	r, _ := http.NewRequest("GET", "http://localhost/", nil)
	r.Header = http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {wstest.SampleKey},
	}
	h := &hijacked{conn: c, br: bufio.NewReaderSize(c, 16)}
	ws, err := websocket.Accept(h, r, nil)
	if err != nil {
		tb.Fatal(err)
	}
	h.br.Reset(c)
	ws.SetReadLimit(-1)
	return ws
}

type hijacked struct {
	conn   *Conn
	br     *bufio.Reader
	header http.Header
}

func (h *hijacked) Header() http.Header {
	if h.header == nil {
		h.header = make(http.Header)
	}
	return h.header
}
func (h *hijacked) Write(p []byte) (int, error) { return len(p), nil }
func (h *hijacked) WriteHeader(int)             {}
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(h.br, bufio.NewWriterSize(h.conn, 16)), nil
}

// echo echoes every message in one frame until a read fails. It returns that error.
func echo(ws *websocket.Conn) error {
	var b bytes.Buffer
	for {
		typ, r, err := ws.Reader(context.Background())
		if err != nil {
			return err
		}
		b.Reset()
		if _, err := b.ReadFrom(r); err != nil {
			return err
		}
		if err := ws.Write(context.Background(), typ, b.Bytes()); err != nil {
			return err
		}
	}
}

// key masks the frames of these tests, unless they are random.
var key = [4]byte{0x12, 0xf4, 0x56, 0x9a}

// masked returns a client's frame with this first byte.
func masked(first byte, payload []byte) []byte {
	return wstest.Frame{Fin: first&frame.Fin != 0, Rsv: first >> 4 & 7, Opcode: first & 0xf,
		Masked: true, Key: key, Payload: payload}.Append(nil)
}

func text(s string) []byte { return masked(frame.Fin|frame.Text, []byte(s)) }

func closing(code uint16, reason string) []byte {
	return masked(frame.Fin|frame.Close, wstest.CloseBody(code, reason))
}

// message reads one whole message.
func message(ws *websocket.Conn) ([]byte, error) {
	_, p, err := ws.Read(context.Background())
	return p, err
}

// drained reads c in a goroutine until the end and closes it. The channel gets the input.
func drained(c net.Conn) <-chan []byte {
	all := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(c)
		c.Close()
		all <- b
	}()
	return all
}

// within receives from ch. It fails the test after a long time.
func within[T any](tb testing.TB, ch <-chan T) (v T) {
	tb.Helper()
	select {
	case v = <-ch:
	case <-time.After(20 * time.Second):
		tb.Fatal("got nothing in time")
	}
	return v
}

// eventually waits until ok returns true.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for start := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			tb.Fatalf("not in time: %s", what)
		}
	}
}

// timedOut reports whether a write of c has failed at its deadline. On a plain path a write at
// the end of a connection has minStall, which a busy machine may exceed.
func timedOut(c *Conn) bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return errors.Is(c.out.err, os.ErrDeadlineExceeded)
}

// manyAttempts is how often a test that was too slow for a short deadline tries again.
const manyAttempts = 50

func kindOf(err error) ending.Kind { return ending.Of(err).Kind }
