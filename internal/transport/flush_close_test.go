package transport

import (
	"net"
	"testing"
	"time"

	"example.com/wsecho/internal/frame"
)

// A heldConn blocks each Write until release is closed, whatever the deadline is.
type heldConn struct {
	net.Conn
	release chan struct{}
}

func (c heldConn) SetWriteDeadline(time.Time) error { return nil }

func (c heldConn) Write(p []byte) (int, error) {
	<-c.release
	return c.Conn.Write(p)
}

// TestFlusherBesideClose: a close frame becomes pending while the Flusher sends a batch. The
// Flusher serves all connections, so it does not wait until a plain socket accepts the frame.
func TestFlusherBesideClose(t *testing.T) {
	t.Parallel()
	server, client := over(t, "pipe")
	all := drained(client)
	held := heldConn{server, make(chan struct{})}
	c := trusted(held, nil, options(), true)
	c.in.hasInput.Store(true)
	if _, err := c.Write([]byte("\x81\x01a")); err != nil {
		t.Fatal(err)
	}
	c.setPendingClose(frame.EncodeClose(1001, "")) // as TryClose does if it cannot lock
	c.out.hasPending.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.out.flushLate(c.opts.Flusher)
	}()
	within(t, done)
	close(held.release)
	eventually(t, "the close frame is sent", func() bool { return c.CloseSent() })
	c.Hangup()
	if got, want := string(within(t, all)), "\x81\x01a\x88\x02\x03\xe9"; got != want {
		t.Errorf("the peer got %q, want %q", got, want)
	}
}
