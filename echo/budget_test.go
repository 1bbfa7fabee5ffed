package echo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func TestNewBudget(t *testing.T) {
	for _, n := range []int64{0, -1, -1 << 63} {
		if b, err := echo.NewBudget(n, 1<<20, 0); b != nil || err == nil || !strings.Contains(err.Error(), "budget") {
			t.Errorf("%d: got %v, %v", n, b, err)
		}
	}
}

// TestMemoryIsReleased: Serve releases all memory, whatever error ends it.
func TestMemoryIsReleased(t *testing.T) {
	const large = 100_000 // more than needs no budget
	whole := func() io.Reader { return strings.NewReader(strings.Repeat("x", large)) }
	bad := errors.New("bad")
	for name, tt := range map[string]struct {
		limit int64
		conn  script
		want  error // nil: of kind NoMemory
	}{
		"whole messages": {1 << 20, script{readers: []io.Reader{whole(), strings.NewReader(""), whole()}}, errOver},
		"byte by byte":   {1 << 20, script{readers: []io.Reader{iotest.OneByteReader(whole())}}, errOver},
		"data with EOF":  {1 << 20, script{readers: []io.Reader{iotest.DataErrReader(whole())}}, errOver},
		"read fails":     {1 << 20, script{readers: []io.Reader{io.MultiReader(whole(), iotest.ErrReader(bad))}}, bad},
		"fails with data": {1 << 20, script{readers: []io.Reader{
			iotest.DataErrReader(io.MultiReader(whole(), iotest.ErrReader(bad)))}}, bad},
		"write fails": {1 << 20, script{readers: []io.Reader{whole()}, write: bad}, bad},
		"spent":       {large - 1, script{readers: []io.Reader{whole()}}, nil},
		"just enough": {large, script{readers: []io.Reader{whole(), whole()}}, errOver},
		"spent at 1":  {1, script{readers: []io.Reader{whole()}}, nil},
		"small":       {1, script{readers: []io.Reader{strings.NewReader(strings.Repeat("x", 16<<10))}}, errOver},
	} {
		budget, err := echo.NewBudget(tt.limit, large, 0)
		if err != nil {
			t.Fatal(err)
		}
		e := echo.Echo{Budget: budget}
		err = e.Serve(context.Background(), &tt.conn)
		if tt.want == nil {
			if end := ending.Of(err); end.Kind != ending.NoMemory || end.Code != 1013 {
				t.Errorf("%s: got %v", name, err)
			}
		} else if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
		if n := budget.Used(); n != 0 {
			t.Errorf("%s: %d bytes were not released", name, n)
		}
	}
}

// TestPanicReleases: a panic of OnMessage releases all memory.
func TestPanicReleases(t *testing.T) {
	budget, err := echo.NewBudget(1<<20, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := echo.Echo{Budget: budget, OnMessage: func(echo.Conn, websocket.MessageType, []byte) { panic("oh") }}
	func() {
		defer func() { _ = recover() }()
		_ = e.Serve(context.Background(), &script{readers: []io.Reader{strings.NewReader(strings.Repeat("x", 50_000))}})
	}()
	if n := budget.Used(); n != 0 {
		t.Errorf("%d bytes were not released", n)
	}
}

// TestNoMemory: a message for which there is no memory ends its connection with 1013.
// The other connections continue. The next large message is echoed when the memory has
// been released.
func TestNoMemory(t *testing.T) {
	budget, err := echo.NewBudget(200_000, 200_000, 0)
	if err != nil {
		t.Fatal(err)
	}
	url, ends := start(t, &echo.Echo{Budget: budget}, server.Options{})
	holder, other := dial(t, url, wstest.DialOptions{}), dial(t, url, wstest.DialOptions{})
	half := random(40_000)
	if err := holder.SendRaw(announce(140_000, half)); err != nil {
		t.Fatal(err)
	}
	awaitUsed(t, budget, 200_000)
	for name, frame := range map[string]wstest.Frame{
		"known length":   wstest.BinaryFrame(random(200_000)),
		"unknown length": wstest.BinaryFrame(random(40_000)).Open(),
	} {
		refused := dial(t, url, wstest.DialOptions{})
		go func() { _ = refused.Send(frame, wstest.CloseFrame(1013, "")) }()
		if code, reason, err := refused.Await(soon); code != 1013 || reason == "" {
			t.Errorf("%s: got %d %q, %v", name, code, reason, err)
		}
		_ = refused.Close()
		if o := <-ends; o.Kind != ending.NoMemory || o.By != ending.Local {
			t.Errorf("%s: got %v by %v", name, o.Kind, o.By)
		}
	}
	if n := budget.Used(); n != 200_000 {
		t.Errorf("%d bytes are acquired, want those of the other message", n)
	}
	for _, p := range []*wstest.Peer{other, holder} {
		err := p.Send(wstest.TextFrame("small"))
		if p == holder {
			err = p.SendRaw(random(100_000))
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.RecvMessage(); err != nil {
			t.Error(err)
		}
	}
	awaitUsed(t, budget, 0)
	next := dial(t, url, wstest.DialOptions{})
	go func() { _ = next.Send(wstest.BinaryFrame(half)) }()
	if _, got, err := next.RecvMessage(); len(got) != len(half) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// announce returns the header of a message of length bytes, and the beginning p of its
// payload. The mask changes nothing.
func announce(length int, p []byte) []byte {
	return append(wstest.Header(0x80|wstest.Binary, true, [4]byte{}, uint64(length), 64), p...)
}

// awaitUsed waits until messages have acquired n bytes.
func awaitUsed(t *testing.T, b *echo.Budget, n int64) {
	t.Helper()
	for end := time.Now().Add(soon); b.Used() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are acquired, want %d", b.Used(), n)
		}
	}
}

// TestAnnouncedLength: a message acquires memory for the length that its header
// announces. If no header has announced the length, it acquires memory as it grows.
func TestAnnouncedLength(t *testing.T) {
	const longest = 4 << 20
	const fin, deflated, data = 0x80, 0x40, wstest.Binary
	// frame returns a frame of length bytes without those after p.
	frame := func(first byte, length int, p []byte) []byte {
		return append(wstest.Header(first, true, [4]byte{}, uint64(length), 64), p...)
	}
	some := random(100_000)
	block := stored(some[:60_000])
	for _, tt := range []struct {
		name string
		sent []byte
		used int64
	}{
		{"one frame", frame(fin|data, 1<<20, some), 1 << 20},
		{"last fragment", slices.Concat(wstest.Header(data, true, [4]byte{}, 20_000, 16), some[:20_000],
			frame(fin, 1<<20, some)), 2 << 20},
		{"known before it grows", slices.Concat(wstest.Header(data, true, [4]byte{}, 1000, 16), some[:1000],
			frame(fin, 1<<20-1000, some)), 1 << 20},
		{"first fragment", frame(data, 100_000, some), 256 << 10},
		{"compressed", slices.Concat(wstest.Header(data|deflated, true, [4]byte{}, uint64(len(block)), 16), block), 64 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			budget, err := echo.NewBudget(longest, longest, 0)
			if err != nil {
				t.Fatal(err)
			}
			url, ends := start(t, &echo.Echo{Budget: budget}, server.Options{Compression: websocket.CompressionNoContextTakeover})
			p := dial(t, url, wstest.DialOptions{Extensions: "permessage-deflate"})
			if err := p.SendRaw(tt.sent); err != nil {
				t.Fatal(err)
			}
			awaitUsed(t, budget, tt.used)
			_ = p.RST()
			<-ends
		})
	}
}

// stored returns p as a stored block of RFC 1951.
func stored(p []byte) []byte {
	n := uint16(len(p))
	b := binary.LittleEndian.AppendUint16([]byte{0}, n)
	return append(binary.LittleEndian.AppendUint16(b, ^n), p...)
}

// TestBudgetIsShared: 32 clients are served though there is memory for eight of their
// messages at once.
func TestBudgetIsShared(t *testing.T) {
	budget, err := echo.NewBudget(2<<20, 1<<20, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	url, _ := start(t, &echo.Echo{Budget: budget}, server.Options{})
	large := random(250_000) // in a buffer of 256 KiB
	var clients sync.WaitGroup
	for range 32 {
		p := dial(t, url, wstest.DialOptions{})
		clients.Go(func() {
			for range 5 {
				if err := p.Send(wstest.BinaryFrame(large)); err != nil {
					t.Error(err)
					return
				}
				if _, got, err := p.RecvMessage(); err != nil || !bytes.Equal(got, large) {
					t.Errorf("got %d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// TestContextEndsWait: if the context ends a wait, the error is the context's.
func TestContextEndsWait(t *testing.T) {
	budget, err := echo.NewBudget(100_000, 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	e := echo.Echo{Budget: budget}
	large := strings.Repeat("x", 50_000)
	holder, input := io.Pipe()
	defer input.Close()
	go func() { _, _ = input.Write([]byte(large)) }()
	go func() {
		_ = e.Serve(context.Background(), &script{readers: []io.Reader{sizedReader{holder, 50_000}}})
	}()
	awaitUsed(t, budget, 64<<10)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err = e.Serve(ctx, &script{readers: []io.Reader{sizedReader{strings.NewReader(large), 50_000}}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A sizedReader reads a message of known length.
type sizedReader struct {
	io.Reader
	size int64
}

func (r sizedReader) Size() int64 { return r.size }

// TestOverBudget: a message that is longer than the budget is refused at once.
func TestOverBudget(t *testing.T) {
	budget, err := echo.NewBudget(100_000, 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	url, _ := start(t, &echo.Echo{Budget: budget}, server.Options{})
	p := dial(t, url, wstest.DialOptions{})
	go func() { _ = p.Send(wstest.BinaryFrame(random(200_000))) }()
	if code, reason, err := p.Await(soon); code != 1013 || !strings.Contains(reason, "as long as this") {
		t.Errorf("got %d %q, %v", code, reason, err)
	}
}

// TestEndReleases: the end of a connection in the middle of a large message releases its
// memory.
func TestEndReleases(t *testing.T) {
	for name, do := range map[string]func(p *wstest.Peer){
		"FIN":      func(p *wstest.Peer) { _ = p.FIN() },
		"RST":      func(p *wstest.Peer) { _ = p.RST() },
		"close":    func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1000, "")) },
		"protocol": func(p *wstest.Peer) { _ = p.SendRaw([]byte("\xff\xff")) },
		"too big":  func(p *wstest.Peer) { _ = p.Send(wstest.Frame{Payload: random(200_000)}) },
		"drain":    func(p *wstest.Peer) {}, // at the end of the test
	} {
		t.Run(name, func(t *testing.T) {
			budget, err := echo.NewBudget(1<<20, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			url, ends := start(t, &echo.Echo{Budget: budget}, server.Options{ReadLimit: 150_000})
			p := dial(t, url, wstest.DialOptions{})
			if err := p.Send(wstest.BinaryFrame(random(100_000)).Open()); err != nil {
				t.Fatal(err)
			}
			do(p)
			if name == "drain" {
				return
			}
			if name != "RST" {
				_, _ = p.End(soon)
			}
			_ = p.Close()
			if <-ends; budget.Used() != 0 {
				t.Errorf("%d bytes were not released", budget.Used())
			}
		})
	}
}

// TestPeerEndsWaiting: a connection whose message waits for memory ends when there is
// memory. Its peer has closed it or violates the protocol. It releases all memory.
func TestPeerEndsWaiting(t *testing.T) {
	for name, do := range map[string]func(p *wstest.Peer){
		"FIN":   func(p *wstest.Peer) { _ = p.FIN() },
		"RST":   func(p *wstest.Peer) { _ = p.RST() },
		"close": func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1000, "")) },
		"twice": func(p *wstest.Peer) { _ = p.Send(wstest.Frame{Payload: random(100)}, wstest.BinaryFrame(nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			budget, err := echo.NewBudget(200_000, 200_000, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			url, ends := start(t, &echo.Echo{Budget: budget}, server.Options{})
			holder, waiter := dial(t, url, wstest.DialOptions{}), dial(t, url, wstest.DialOptions{})
			if err := holder.SendRaw(announce(150_000, random(20_000))); err != nil {
				t.Fatal(err)
			}
			awaitUsed(t, budget, 200_000)
			if err := waiter.Send(wstest.BinaryFrame(random(20_000))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // so that it waits for memory; the test passes without, too
			do(waiter)
			if err := holder.SendRaw(random(130_000)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := holder.RecvMessage(); len(got) != 150_000 {
				t.Errorf("the first peer got %d bytes, %v", len(got), err)
			}
			if name != "RST" {
				_, _ = waiter.End(soon)
			}
			_ = waiter.Close()
			if o := <-ends; o.Kind == ending.NoMemory {
				t.Errorf("the connection ended as %v", o.Kind)
			}
			awaitUsed(t, budget, 0) // the first connection releases its memory after the echo
		})
	}
}

// TestDrainEndsWaiting: a drain closes a connection whose message waits for memory with
// 1001, and ends the wait.
func TestDrainEndsWaiting(t *testing.T) {
	budget, err := echo.NewBudget(200_000, 200_000, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	e := &echo.Echo{Budget: budget}
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return e.Serve(ctx, c) }, server.Options{CloseTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s)
	defer ts.Close()
	var peers []*wstest.Peer
	for range 2 {
		p := dial(t, "ws"+ts.URL[len("http"):], wstest.DialOptions{})
		peers = append(peers, p)
		if err := p.SendRaw(announce(150_000, random(20_000))); err != nil {
			t.Fatal(err)
		}
		awaitUsed(t, budget, 200_000)
	}
	time.Sleep(50 * time.Millisecond) // so that it waits for memory; the test passes without, too
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	for _, p := range peers {
		if code, _, err := p.Await(soon); code != 1001 {
			t.Errorf("got %d, %v", code, err)
		}
		_ = p.Close()
	}
	select {
	case err := <-done:
		if n := budget.Used(); err != nil || n != 0 {
			t.Errorf("%d bytes were not released, %v", n, err)
		}
	case <-time.After(soon):
		t.Error("Shutdown has not returned")
	}
}
