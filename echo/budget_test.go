package echo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
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

// TestBudgetIsGivenBack ends an echo in every way there is inside it.
func TestBudgetIsGivenBack(t *testing.T) {
	const large = 100_000 // of more than one buffer's size
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
			t.Errorf("%s: %d bytes were not given back", name, n)
		}
	}
}

// TestPanicGivesBack panics where the application is called.
func TestPanicGivesBack(t *testing.T) {
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
		t.Errorf("%d bytes were not given back", n)
	}
}

// TestBudgetSpent: who asks for what is not there is told 1013; the others go on,
// and so does the next one when it has been given back.
func TestBudgetSpent(t *testing.T) {
	budget, err := echo.NewBudget(200_000, 200_000, 0) // there is a reserve, and no more
	if err != nil {
		t.Fatal(err)
	}
	url, ends := start(t, &echo.Echo{Budget: budget}, server.Options{})
	holder, other := dial(t, url, wstest.DialOptions{}), dial(t, url, wstest.DialOptions{})
	half := random(40_000)
	if err := holder.Send(wstest.BinaryFrame(half).Open()); err != nil {
		t.Fatal(err)
	}
	for budget.Used() != 200_000 {
		if t.Context().Err() != nil {
			return
		}
	}
	asks := dial(t, url, wstest.DialOptions{})
	go func() { _ = asks.Send(wstest.BinaryFrame(random(200_000)), wstest.CloseFrame(1013, "")) }()
	if code, reason, err := asks.Await(soon); code != 1013 || reason == "" {
		t.Errorf("got %d %q, %v", code, reason, err)
	}
	_ = asks.Close()
	if o := <-ends; o.Kind != ending.NoMemory || o.By != ending.Local {
		t.Errorf("got %v by %v", o.Kind, o.By)
	}
	if n := budget.Used(); n != 200_000 {
		t.Errorf("%d bytes are taken, want those of the one that holds", n)
	}
	for _, p := range []*wstest.Peer{other, holder} {
		last := wstest.TextFrame("small")
		if p == holder {
			last = wstest.Frame{Fin: true}
		}
		if err := p.Send(last); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.RecvMessage(); err != nil {
			t.Error(err)
		}
	}
	next := dial(t, url, wstest.DialOptions{})
	go func() { _ = next.Send(wstest.BinaryFrame(half)) }()
	if _, got, err := next.RecvMessage(); len(got) != len(half) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// TestBudgetIsShared: thirty-two clients whose messages do not fit into the memory
// together are all served.
func TestBudgetIsShared(t *testing.T) {
	budget, err := echo.NewBudget(2<<20, 1<<20, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	url, _ := start(t, &echo.Echo{Budget: budget}, server.Options{})
	large := random(250_000) // a buffer of 256 KiB, after one of 64 KiB
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

// TestContextEndsWait: the error is then the context's, and not that of a lack.
func TestContextEndsWait(t *testing.T) {
	budget, err := echo.NewBudget(100_000, 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	e := echo.Echo{Budget: budget}
	large := strings.Repeat("x", 50_000)
	holds, leave := io.Pipe()
	defer leave.Close()
	go func() { _, _ = leave.Write([]byte(large)) }()
	go func() {
		_ = e.Serve(context.Background(), &script{readers: []io.Reader{holds}})
	}()
	for budget.Used() == 0 {
		if t.Context().Err() != nil {
			return
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err = e.Serve(ctx, &script{readers: []io.Reader{strings.NewReader(large)}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestNoMemoryEver: a message that there will never be memory for is refused at once,
// and told so.
func TestNoMemoryEver(t *testing.T) {
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

// TestEndingsGiveBack ends connections in the middle of a large message.
func TestEndingsGiveBack(t *testing.T) {
	for name, do := range map[string]func(p *wstest.Peer){
		"FIN":    func(p *wstest.Peer) { _ = p.FIN() },
		"RST":    func(p *wstest.Peer) { _ = p.RST() },
		"close":  func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1000, "")) },
		"broken": func(p *wstest.Peer) { _ = p.SendRaw([]byte("\xff\xff")) },
		"large":  func(p *wstest.Peer) { _ = p.Send(wstest.Frame{Payload: random(200_000)}) },
		"late":   func(p *wstest.Peer) {}, // the drain at the end of the test
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
			if name == "late" {
				return
			}
			if name != "RST" {
				_, _ = p.End(soon)
			}
			_ = p.Close()
			if <-ends; budget.Used() != 0 {
				t.Errorf("%d bytes were not given back", budget.Used())
			}
		})
	}
}

// TestWaitingPeer: a message waits for memory while its peer goes, or breaks the
// protocol. Nothing is left of it.
func TestWaitingPeer(t *testing.T) {
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
			holds, waits := dial(t, url, wstest.DialOptions{}), dial(t, url, wstest.DialOptions{})
			if err := holds.Send(wstest.BinaryFrame(random(20_000)).Open()); err != nil {
				t.Fatal(err)
			}
			for budget.Used() == 0 {
				if t.Context().Err() != nil {
					return
				}
			}
			if err := waits.Send(wstest.BinaryFrame(random(20_000)).Open()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // so that it waits; where it does not yet, it will not
			do(waits)
			if err := holds.Send(wstest.Frame{Fin: true}); err != nil {
				t.Fatal(err)
			}
			if _, got, err := holds.RecvMessage(); len(got) != 20_000 {
				t.Errorf("who held the memory got %d bytes, %v", len(got), err)
			}
			if name != "RST" {
				_, _ = waits.End(soon)
			}
			_ = waits.Close()
			if o := <-ends; o.Kind == ending.NoMemory || budget.Used() != 0 {
				t.Errorf("it ended as %v, and %d bytes were not given back", o.Kind, budget.Used())
			}
		})
	}
}

// TestDrainWaiting: the server ends while a message waits for memory. Its peer is told,
// and nobody waits for that memory any more.
func TestDrainWaiting(t *testing.T) {
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
		if err := p.Send(wstest.BinaryFrame(random(20_000)).Open()); err != nil {
			t.Fatal(err)
		}
		for budget.Used() == 0 {
			if t.Context().Err() != nil {
				return
			}
		}
	}
	time.Sleep(50 * time.Millisecond) // so that it waits; where it does not yet, it will not
	over := make(chan error, 1)
	go func() { over <- s.Shutdown(context.Background()) }()
	for _, p := range peers {
		if code, _, err := p.Await(soon); code != 1001 {
			t.Errorf("got %d, %v", code, err)
		}
		_ = p.Close()
	}
	select {
	case err := <-over:
		if n := budget.Used(); err != nil || n != 0 {
			t.Errorf("%d bytes were not given back, %v", n, err)
		}
	case <-time.After(soon):
		t.Error("the drain waits for memory")
	}
}
