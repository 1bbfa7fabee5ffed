package transport

import (
	"bytes"
	"net"
	"testing"
	"time"

	"example.com/wsecho/internal/frame"
)

// fillSlowly fills the socket under c until the kernel accepts no more, also after a
// while. The kernel would later enlarge buffers without a fixed size.
func fillSlowly(t *testing.T, c *Conn, client net.Conn) {
	t.Helper()
	if err := c.base.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	shrink(client)
	for quiet := 0; quiet < 5; time.Sleep(5 * time.Millisecond) {
		if quiet++; fillSocket(t, c.base) > 0 {
			quiet = 0
		}
	}
}

// TestControlNeverWaits checks that a ping and a pong for a peer that accepts nothing wait in
// the background.
func TestControlNeverWaits(t *testing.T) {
	server, client := over(t, "tcp")
	c := New(server, nil, options())
	fillSlowly(t, c, client)
	for range 3 {
		done := make(chan struct{})
		go func() {
			c.Ping(bytes.Repeat([]byte("p"), 125))
			c.handleControl(frame.Ping, bytes.Repeat([]byte("q"), 125))
			close(done)
		}()
		within(t, done)
	}
	eventually(t, "the write counts as stalled", c.Writing)
	if !c.PingSent().IsZero() || c.Unsent() == 0 {
		t.Errorf("got a ping that was sent at %v with %d bytes unsent", c.PingSent(), c.Unsent())
	}
	c.Abort()
	c.Hangup()
	client.Close()
}

// TestControlSentLater checks that such a ping is sent when the peer reads again.
func TestControlSentLater(t *testing.T) {
	t.Parallel()
	server, client := over(t, "tcp")
	c := New(server, nil, options())
	fillSlowly(t, c, client)
	c.Ping([]byte("one"))
	c.Ping([]byte("two"))
	all := drained(client)
	eventually(t, "the ping has been sent", func() bool { return !c.PingSent().IsZero() })
	c.Hangup()
	got := within(t, all)
	got = got[bytes.IndexByte(got, frame.Fin|frame.Ping):]
	frames := decoded(t, got)
	if last := frames[len(frames)-1]; last.Opcode != frame.Ping || string(last.Payload) != "two" {
		t.Errorf("got %v, want pings up to the newest", frames)
	}
}
