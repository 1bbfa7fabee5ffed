package echo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }

const soon = 20 * time.Second

// start serves e until the test ends. It returns the server's URL and a channel of the
// outcomes.
func start(t *testing.T, e *echo.Echo, o server.Options) (string, <-chan server.Outcome) {
	t.Helper()
	ends := make(chan server.Outcome, 100)
	o.OnEnd = func(end server.Outcome) { ends <- end }
	o.CloseTimeout = 500 * time.Millisecond
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return e.Serve(ctx, c) }, o)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s)
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		ts.Close()
		if n := e.Budget.Used(); n != 0 {
			t.Errorf("%d bytes of the budget were not released", n)
		}
	})
	return "ws" + ts.URL[len("http"):], ends
}

func dial(t *testing.T, url string, o wstest.DialOptions) *wstest.Peer {
	t.Helper()
	p, err := wstest.Dial(url, o)
	if err != nil {
		t.Fatal(err)
	}
	p.Timeout = soon
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(b)
	return b
}

// TestSizes echoes messages of about the buffers' sizes, in one frame and in fragments,
// with batching and without. A connection batches its replies after a burst.
func TestSizes(t *testing.T) {
	for _, burst := range []int{0, 1000} {
		budget, err := echo.NewBudget(64<<20, 16<<20, 0)
		if err != nil {
			t.Fatal(err)
		}
		url, _ := start(t, &echo.Echo{Budget: budget}, server.Options{})
		p := dial(t, url, wstest.DialOptions{})
		go p.Send(slices.Repeat([]wstest.Frame{wstest.TextFrame("x")}, burst)...)
		for range burst {
			if _, got, err := p.RecvMessage(); string(got) != "x" {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 16<<10 - 1, 16 << 10, 16<<10 + 1, 64 << 10, 64<<10 + 1, 1 << 20, 4<<20 + 1} {
			want := random(n)
			sent := make(chan error, 1)
			go func() { sent <- p.Send(wstest.BinaryFrame(want)) }()
			op, got, err := p.RecvMessage()
			if err != nil || op != wstest.Binary || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: got opcode %d, %d bytes, %v", n, op, len(got), err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			third := n / 3
			go func() {
				sent <- p.Send(wstest.BinaryFrame(want[:third]).Open(), wstest.PingFrame("in between"),
					wstest.Frame{Payload: want[third : 2*third]}, wstest.Frame{}, wstest.Frame{Fin: true, Payload: want[2*third:]})
			}()
			op, got, err = p.RecvMessage()
			if err != nil || op != wstest.Binary || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes in fragments: got opcode %d, %d bytes, %v", n, op, len(got), err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Send(wstest.TextFrame("text \u20ac")); err != nil {
			t.Fatal(err)
		}
		if op, got, err := p.RecvMessage(); op != wstest.Text || string(got) != "text \u20ac" {
			t.Errorf("got opcode %d, %q, %v", op, got, err)
		}
	}
}

// TestSendsAllFirst: a peer may send 16 MiB before it reads anything.
func TestSendsAllFirst(t *testing.T) {
	url, _ := start(t, new(echo.Echo), server.Options{})
	p := dial(t, url, wstest.DialOptions{})
	want := random(16 << 20)
	if err := p.Send(wstest.BinaryFrame(want)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := p.RecvMessage(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// TestPipelined: many small messages that were sent at once are echoed in order.
func TestPipelined(t *testing.T) {
	url, _ := start(t, new(echo.Echo), server.Options{ReadBufferSize: 600, WriteBufferSize: 600})
	p := dial(t, url, wstest.DialOptions{})
	var frames []wstest.Frame
	for i := range 2000 {
		frames = append(frames, wstest.TextFrame(strings.Repeat("x", i%50)))
	}
	go func() { _ = p.Send(frames...) }()
	for i, f := range frames {
		if _, got, err := p.RecvMessage(); err != nil || !bytes.Equal(got, f.Payload) {
			t.Fatalf("message %d: got %q, %v", i, got, err)
		}
	}
}

func TestOnMessage(t *testing.T) {
	type message struct {
		typ  websocket.MessageType
		text string
	}
	messages := make(chan message, 2)
	url, _ := start(t, &echo.Echo{OnMessage: func(c echo.Conn, typ websocket.MessageType, p []byte) {
		if _, ok := c.(*server.Conn); !ok {
			t.Errorf("got a %T", c)
		}
		messages <- message{typ, string(p)}
	}}, server.Options{PingInterval: -1})
	p := dial(t, url, wstest.DialOptions{})
	if err := p.Send(wstest.TextFrame("a"), wstest.BinaryFrame([]byte("b")), wstest.TextFrame("truncated").Open()); err != nil {
		t.Fatal(err)
	}
	_ = p.FIN()
	if e, err := p.End(soon); err != nil || e.Frames != 2 {
		t.Errorf("got %v, %v", e, err)
	}
	for _, want := range []message{{websocket.MessageText, "a"}, {websocket.MessageBinary, "b"}} {
		if got := <-messages; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if len(messages) > 0 {
		t.Errorf("OnMessage also got %v", <-messages)
	}
}

// TestCoderConn echoes on a connection of package websocket.
func TestCoderConn(t *testing.T) {
	served := make(chan error, 1)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			served <- err
			return
		}
		defer c.CloseNow()
		served <- echo.Serve(context.Background(), c)
	}))
	defer ts.Close()
	p := dial(t, "ws"+ts.URL[len("http"):], wstest.DialOptions{})
	if err := p.Send(wstest.TextFrame("hi"), wstest.CloseFrame(4001, "")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := p.RecvMessage(); string(got) != "hi" {
		t.Errorf("got %q, %v", got, err)
	}
	if code, _, err := p.Await(soon); code != 4001 {
		t.Errorf("got %d, %v", code, err)
	}
	if err := <-served; websocket.CloseStatus(err) != 4001 {
		t.Errorf("got %v", err)
	}
}

// A script is a Conn that returns readers, and then errOver.
type script struct {
	readers []io.Reader
	write   error
}

var errOver = errors.New("over")

func (s *script) Reader(context.Context) (websocket.MessageType, io.Reader, error) {
	if len(s.readers) == 0 {
		return 0, nil, errOver
	}
	r := s.readers[0]
	s.readers = s.readers[1:]
	return websocket.MessageText, r, nil
}

func (s *script) Write(context.Context, websocket.MessageType, []byte) error { return s.write }

// TestNoMemoryAfterEcho: a connection whose next message waits for memory still echoes the
// message before it at once.
func TestNoMemoryAfterEcho(t *testing.T) {
	const wait = 10 * time.Minute // longer than the test
	budget, err := echo.NewBudget(64<<10, 64<<10, wait)
	if err != nil {
		t.Fatal(err)
	}
	url, _ := start(t, &echo.Echo{Budget: budget}, server.Options{})
	first := dial(t, url, wstest.DialOptions{})
	large := wstest.BinaryFrame(random(60 << 10))
	large.Masked = true
	if err := first.SendRaw(large.Append(nil)[:30<<10]); err != nil { // uses the whole budget, and stops
		t.Fatal(err)
	}
	for began := time.Now(); budget.Used() < 64<<10; time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatalf("%d bytes of the budget are acquired, want all", budget.Used())
		}
	}
	p := dial(t, url, wstest.DialOptions{})
	const n = 200
	want := random(40 << 10)
	if err := p.Send(append(slices.Repeat([]wstest.Frame{wstest.TextFrame("x")}, n), wstest.BinaryFrame(want))...); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, got, err := p.RecvMessage(); string(got) != "x" {
			t.Fatalf("message %d: got %q, %v", i, got, err)
		}
	}
	first.Close()
	if _, got, err := p.RecvMessage(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v, want the large message", len(got), err)
	}
}
