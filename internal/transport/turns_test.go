package transport

import (
	"io"
	"testing"
)

// TestTurnsOfALargeFrame reads one frame that takes many buffers. They count, though
// there is but one header.
func TestTurnsOfALargeFrame(t *testing.T) {
	const size = 64 << 10
	server, client := over(t, "tcp")
	o := options()
	o.Read = NewPool(8 << 10)
	c := New(server, nil, o)
	if _, err := client.Write(frame(finBit|opBinary, make([]byte, size))); err != nil {
		t.Fatal(err)
	}
	// It has all come: nothing is waited for, which would begin a new count.
	eventually(t, "all has come", func() bool { return notAcked(client) <= 0 })
	if _, err := io.CopyN(io.Discard, c, size); err != nil {
		t.Fatal(err)
	}
	if got, want := c.in.turns, turnsOf(size)-1; got < want || want >= maxTurns {
		t.Errorf("%d bytes in buffers of 8 KiB count for %d turns, want %d and more, but fewer than %d", size, got, want, maxTurns)
	}
	client.Close()
	_ = c.Close()
	c.Hangup()
}
