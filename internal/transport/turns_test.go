package transport

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/internal/fairness"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
	"example.com/wsecho/wstest"
)

// TestTurnsOfALargeFrame reads one frame that takes many buffers. They count, though
// there is but one header.
func TestTurnsOfALargeFrame(t *testing.T) {
	const size = 64 << 10
	server, client := over(t, "tcp")
	o := options()
	o.Read = NewPool(8 << 10)
	c := New(server, nil, o)
	if _, err := client.Write(masked(frame.Fin|frame.Binary, make([]byte, size))); err != nil {
		t.Fatal(err)
	}
	// It has all come: nothing is waited for, which would begin a new count.
	eventually(t, "all has come", func() bool { return socket.NotAcked(client) <= 0 })
	if _, err := io.CopyN(io.Discard, c, size); err != nil {
		t.Fatal(err)
	}
	if got, want := c.in.workUnits, workUnitsOf(size)-1; got < want || want >= maxWorkUnits {
		t.Errorf("%d bytes in buffers of 8 KiB count for %d turns, want %d and more, but fewer than %d", size, got, want, maxWorkUnits)
	}
	client.Close()
	_ = c.Close()
	c.Hangup()
}

// TestTurnOfThePolite: who waits for each answer has no turn that ends, whatever it is
// read with.
func TestTurnOfThePolite(t *testing.T) {
	sock, peer := net.Pipe()
	c := New(sock, nil, options())
	ws := accept(t, c)
	var all sync.WaitGroup
	defer all.Wait()
	defer c.Hangup()
	defer ws.CloseNow()
	defer peer.Close()
	all.Go(func() {
		for {
			typ, b, err := ws.Read(context.Background())
			if err != nil || ws.Write(context.Background(), typ, b) != nil {
				return
			}
		}
	})
	f := wstest.TextFrame("hello").WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	for range 3 * maxWorkUnits {
		if _, err := peer.Write(f); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * anyWait)
	}
	if c.yielder != (fairness.Yielder{}) {
		t.Errorf("it has had to wait for others")
	}
}
