package inprocess

import (
	"fmt"
	"net"
	"testing"
	"time"

	"example.com/wsecho/bench/peers"
	"example.com/wsecho/wstest"
)

// served returns the names of the peers that can run in this process.
func served() (names []string) {
	for _, p := range peers.All() {
		if _, ok := peers.InProcess(p.Name); ok {
			names = append(names, p.Name)
		}
	}
	return names
}

// start runs a peer until the test ends. Each direction of a connection buffers room
// bytes, at least 64 KiB.
func start(tb testing.TB, name string, room int) *listener {
	tb.Helper()
	serve, ok := peers.InProcess(name)
	if !ok {
		tb.Fatalf("there is no peer %q", name)
	}
	l := listen(max(room, 64<<10))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = serve(l, peers.Options{}) // Serve fails when the listener is closed
	}()
	tb.Cleanup(func() {
		_ = l.Close()
		select {
		case <-done:
		case <-time.After(stepTimeout):
			tb.Errorf("%s still serves after its listener was closed", name)
		}
	})
	return l
}

// connect dials, and closes the connection when the test ends.
func connect(tb testing.TB, l *listener, name string, opcode byte, size int) *client {
	tb.Helper()
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte('a' + i%23)
	}
	c, err := dial(l, opcode, payload, name == "raw")
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// TestEcho checks each peer with three messages in flight.
func TestEcho(t *testing.T) {
	names := served()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			l := start(t, name, 1<<20)
			for _, opcode := range []byte{wstest.Text, wstest.Binary} {
				for _, size := range []int{0, 125, 126, 65535, 65536, 200_000} {
					c := connect(t, l, name, opcode, size)
					for range 3 {
						if err := c.send(); err != nil {
							t.Fatal(err)
						}
					}
					for range 3 {
						if err := c.receive(); err != nil {
							t.Fatalf("opcode %d, %d bytes: %v", opcode, size, err)
						}
					}
				}
			}
		})
	}
	if len(names) < 5 {
		t.Errorf("only %v can run in this process, want at least 5", names)
	}
}

// TestClientDoesNotAllocate: all counted allocations belong to the peer.
func TestClientDoesNotAllocate(t *testing.T) {
	for _, size := range []int{125, 64 << 10} {
		c := connect(t, start(t, "raw", 4*size), "raw", wstest.Binary, size)
		n := testing.AllocsPerRun(100, func() {
			if err := c.send(); err != nil {
				t.Fatal(err)
			}
			if err := c.receive(); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations for each message of %d bytes", n, size)
		}
	}
}

// TestReceive checks what the client accepts as the echo of "abc".
func TestReceive(t *testing.T) {
	frames := func(f ...wstest.Frame) (b []byte) {
		for _, f := range f {
			b = f.Append(b)
		}
		return b
	}
	for name, test := range map[string]struct {
		answer []byte
		want   error
	}{
		"whole":          {frames(wstest.TextFrame("abc")), nil},
		"fragments":      {frames(wstest.Fragments(wstest.Text, "a", "", "bc", "")...), nil},
		"other bytes":    {frames(wstest.TextFrame("abd")), errWrong},
		"too short":      {frames(wstest.TextFrame("ab")), errWrong},
		"too long":       {frames(wstest.TextFrame("abcd")), errWrong},
		"too long at 16": {wstest.Header(0x81, false, [4]byte{}, 4, 16), errWrong},
		"too long at 64": {wstest.Header(0x81, false, [4]byte{}, 4, 64), errWrong},
		"binary":         {frames(wstest.BinaryFrame([]byte("abc"))), errFrame},
		"masked":         {frames(wstest.TextFrame("abc").WithKey([4]byte{})), errFrame},
		"reserved bits":  {frames(wstest.TextFrame("abc").WithRsv(wstest.RSV1)), errFrame},
		"two messages":   {frames(wstest.TextFrame("a").Open(), wstest.TextFrame("bc")), errFrame},
		"a close frame":  {frames(wstest.CloseFrame(1000, "")), errFrame},
	} {
		l := listen(1 << 10)
		answered := make(chan error, 1)
		go func() { answered <- answer(l, test.answer) }()
		c, err := dial(l, wstest.Text, []byte("abc"), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.receive(); err != test.want {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		_ = c.Close()
		if err := <-answered; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// answer accepts one connection and sends b after the handshake.
func answer(l net.Listener, b []byte) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	p := wstest.Server(c)
	if err := p.Accept(nil); err != nil {
		return err
	}
	return p.SendRaw(b)
}

func BenchmarkEcho(b *testing.B) {
	for _, name := range served() {
		for _, size := range []int{5, 125, 4 << 10, 64 << 10} {
			for _, inflight := range []int{1, 16} {
				b.Run(fmt.Sprintf("peer=%s/size=%d/inflight=%d", name, size, inflight), func(b *testing.B) {
					echoes(b, name, size, inflight)
				})
			}
		}
	}
}

// echoes keeps inflight messages in flight on one connection. The buffers hold all of
// them, so that neither side waits for the other to read.
func echoes(b *testing.B, name string, size, inflight int) {
	c := connect(b, start(b, name, 2*inflight*(size+16)), name, wstest.Binary, size)
	for range inflight - 1 {
		if err := c.send(); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%1024 == 0 {
			if err := c.extendDeadline(); err != nil {
				b.Fatal(err)
			}
		}
		if err := c.send(); err != nil {
			b.Fatal(err)
		}
		if err := c.receive(); err != nil {
			b.Fatal(err)
		}
	}
}
