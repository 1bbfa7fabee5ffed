package transport

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/frame"
)

// recorder is a socket that records its calls. Each Read returns one chunk of the input.
// After the last one it sends to parked and waits for Close.
type recorder struct {
	net.Conn // nil

	mu     sync.Mutex
	input  [][]byte
	log    []string
	writes [][]byte
	limit  time.Time // the write deadline
	parked chan bool
	closed chan bool
}

func newRecorder(input ...[]byte) *recorder {
	return &recorder{input: input, parked: make(chan bool, 1), closed: make(chan bool)}
}

func (r *recorder) Read(p []byte) (int, error) {
	r.mu.Lock()
	if len(r.input) == 0 {
		r.log = append(r.log, "wait")
		r.mu.Unlock()
		r.parked <- true
		<-r.closed
		return 0, net.ErrClosed
	}
	defer r.mu.Unlock()
	r.log = append(r.log, "read")
	n := copy(p, r.input[0])
	if r.input[0] = r.input[0][n:]; len(r.input[0]) == 0 {
		r.input = r.input[1:]
	}
	return n, nil
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf("write %d", len(p)))
	r.writes = append(r.writes, bytes.Clone(p))
	return len(p), nil
}

func (r *recorder) Close() error                    { close(r.closed); return nil }
func (r *recorder) SetReadDeadline(time.Time) error { return nil }
func (r *recorder) SetWriteDeadline(t time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit = t
	return nil
}

func (r *recorder) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.log)
}

func TestOneWrite(t *testing.T) {
	for _, test := range []struct {
		size int
		want []string
	}{
		{0, []string{"write 2"}},
		{125, []string{"write 127"}},
		{126, []string{"write 130"}},
		{4096, []string{"write 4100"}},
		{4120, []string{"write 4124"}},
		{4121, []string{"write 4124", "write 1"}},
		{9000, []string{"write 4124", "write 4880"}},
	} {
		r := newRecorder()
		o := options()
		o.Write, o.WriteTimeout = NewPool(4096), time.Minute
		c := New(r, nil, o)
		ws := accept(t, c)
		if err := ws.Write(context.Background(), websocket.MessageBinary, make([]byte, test.size)); err != nil {
			t.Fatal(err)
		}
		if got := r.seen(); !slices.Equal(got, test.want) {
			t.Errorf("%d bytes: got %v, want %v", test.size, got, test.want)
		}
		if _, out := c.Counts(); out != (frame.ByType{1: {Messages: 1, Bytes: int64(test.size)}}) {
			t.Errorf("got %+v, want 1 binary message of %d bytes", out, test.size)
		}
		if c.out.buf != nil || c.Writing() || !c.PingSent().IsZero() || c.CloseSent() {
			t.Error("a buffer was not released")
		}
		// TLS may write during a read, so an old deadline would end the connection.
		if !r.limit.IsZero() {
			t.Errorf("%d bytes: the write deadline was left at %v", test.size, r.limit)
		}
		_ = ws.CloseNow()
		c.Hangup()
	}
}

// TestBatching checks that replies wait only while input is buffered.
func TestBatching(t *testing.T) {
	three := cat(text("a"), text("b"), text("c"))
	ping := masked(frame.Fin|frame.Ping, []byte("p"))
	for _, test := range []struct {
		name  string
		hold  bool
		input [][]byte
		want  []string
	}{
		{"off", false, [][]byte{three}, []string{"read", "write 3", "write 3", "write 3", "wait"}},
		{"three", true, [][]byte{three}, []string{"read", "write 9", "wait"}},
		{"one", true, [][]byte{text("a")}, []string{"read", "write 3", "wait"}},
		{"partial header behind", true, [][]byte{cat(three, text("d")[:1]), text("d")[1:]}, []string{"read", "write 9", "read", "write 3", "wait"}},
		{"partial message behind", true, [][]byte{cat(three, text("d")[:6])}, []string{"read", "write 9", "wait"}},
		{"partial payload behind", true, [][]byte{cat(three, text("dd")[:7])}, []string{"read", "write 9", "wait"}},
		{"ping", true, [][]byte{cat(text("a"), ping, text("b"), text("c"))}, []string{"read", "write 12", "wait"}},
		{"ping, no hold", false, [][]byte{cat(text("a"), ping, text("b"))}, []string{"read", "write 3", "write 3", "write 3", "wait"}},
		{"pong last", true, [][]byte{cat(three, masked(frame.Fin|frame.Pong, nil))}, []string{"read", "write 9", "wait"}},
		{"close", true, [][]byte{cat(three, closing(1000, ""))}, []string{"read", "write 13"}},
		{"data after close", true, [][]byte{cat(three, closing(1000, ""), text("d"))}, []string{"read", "write 13"}},
		{"violation", true, [][]byte{cat(three, []byte{0xff})}, []string{"read", "write 9"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(test.input...)
			o := options()
			c := New(r, nil, o)
			if test.hold {
				c = trusted(r, nil, o, true)
			}
			ws := accept(t, c)
			done := make(chan error, 1)
			go func() { done <- echo(ws) }()
			select {
			case <-r.parked:
			case err := <-done:
				done <- err
			}
			if got := r.seen(); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			c.Abort()
			<-done
			_ = ws.CloseNow()
			c.base = nopCloser{r} // it is closed
			c.Hangup()
		})
	}
}

type nopCloser struct{ net.Conn }

func (nopCloser) Close() error { return nil }

// TestBatchingRaw checks that replies leave in one write: a peer that reads one reply can read
// all.
func TestBatchingRaw(t *testing.T) {
	server, client := over(t, "tcp")
	c := trusted(server, bytes.Repeat(text("x"), 50), options(), true) // in one read
	ws := accept(t, c)
	done := make(chan error, 1)
	go func() { done <- echo(ws) }()
	b := make([]byte, 1000)
	n, err := client.Read(b)
	if err != nil || n != 150 {
		t.Errorf("got %d bytes, %v, want 150", n, err)
	}
	client.Close()
	<-done
	_ = ws.CloseNow()
	c.Hangup()
}

// TestBatchBeforePart has a reply that waits and a writer that has begun a message behind it
// and pauses.
func TestBatchBeforePart(t *testing.T) {
	r := newRecorder(cat(text("a"), text("b")))
	c := trusted(r, nil, options(), true)
	ws := accept(t, c)
	if _, err := message(ws); err != nil {
		t.Fatal(err)
	}
	if err := ws.Write(context.Background(), websocket.MessageText, []byte("a")); err != nil {
		t.Fatal(err)
	}
	w, _ := ws.Writer(context.Background(), websocket.MessageText)
	_, _ = w.Write(make([]byte, 30))
	if got := r.seen(); !slices.Equal(got, []string{"read"}) {
		t.Fatalf("got %v, want the reply held", got)
	}
	go func() {
		for {
			if _, err := message(ws); err != nil {
				return
			}
		}
	}()
	<-r.parked
	r.mu.Lock()
	got := cat(r.writes...)
	r.mu.Unlock()
	if !bytes.HasPrefix(got, []byte("\x81\x01a")) {
		t.Errorf("got %x before the reader waited, want the reply first", got)
	}
	_ = w.Close()
	r.mu.Lock()
	got = cat(r.writes...)
	r.mu.Unlock()
	want := cat([]byte("\x81\x01a\x01\x1e"), make([]byte, 30), []byte("\x80\x00"))
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	c.Abort()
	_ = ws.CloseNow()
	c.base = nopCloser{r}
	c.Hangup()
}

// TestFlushedBeforeWait interleaves the reader and a writer at every step. It checks that
// all output has been sent when the reader waits.
func TestFlushedBeforeWait(t *testing.T) {
	for range 300 {
		r := newRecorder(cat(text("a"), text("b")))
		c := trusted(r, nil, options(), true)
		go func() {
			b := make([]byte, 100)
			for {
				if _, err := c.Read(b); err != nil {
					return
				}
			}
		}()
		const n = 5
		for range n {
			_, _ = c.Write([]byte("\x81\x01a"))
		}
		<-r.parked
		r.mu.Lock()
		if got := len(cat(r.writes...)); got != 3*n {
			t.Errorf("got %d bytes written when all wait, want %d", got, 3*n)
		}
		r.mu.Unlock()
		r.Close()
		c.base = nopCloser{r}
		c.Hangup()
	}
}

// TestPongFails has a peer that sends a ping and closes. Its last message must still be read.
func TestPongFails(t *testing.T) {
	for _, kind := range kinds {
		server, client := over(t, kind)
		in := cat(masked(frame.Fin|frame.Ping, nil), text("last"), masked(frame.Fin|frame.Ping, nil))
		client.Close()
		c := New(server, in, options())
		ws := accept(t, c)
		if got, err := message(ws); err != nil || string(got) != "last" {
			t.Errorf("%s: got %q, %v, want the last message", kind, got, err)
		}
		_, err := message(ws)
		if k := kindOf(err).String(); k != "abnormal" && k != "reset" {
			t.Errorf("%s: got %v, want the end of the stream", kind, err)
		}
		_ = ws.CloseNow()
		c.Hangup()
	}
}
