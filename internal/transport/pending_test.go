package transport

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"

	"example.com/wsecho/internal/frame"
)

// TestUnlockNeverWaits: a pong that became pending beside a ping is sent in the
// background. This is true over TLS too, where a write may wait for the peer. The Flusher
// and the heartbeat unlock.
func TestUnlockNeverWaits(t *testing.T) {
	server, client := over(t, "tls")
	c := New(server, nil, options())
	fillSlowly(t, c, client.(*tls.Conn).NetConn())
	c.out.mu.Lock()
	c.out.sendControl(frame.Pong, []byte("?"))
	done := make(chan struct{})
	go func() {
		c.out.unlock()
		close(done)
	}()
	within(t, done)
	c.Abort()
	c.Hangup()
	client.Close()
}

// TestNothingUnsent: the next control frame sent the remaining bytes of the one before, so
// nothing counts as unsent. Otherwise the heartbeat would treat the peer as one that reads
// nothing.
func TestNothingUnsent(t *testing.T) {
	t.Parallel()
	server, client := over(t, "tcp")
	c := New(server, nil, options())
	fillSlowly(t, c, client)
	o := &c.out
	o.mu.Lock() // the goroutine of flushLater waits
	o.insert(frame.Encode(frame.Ping, []byte("one")), false)
	go io.Copy(io.Discard, client)
	eventually(t, "the next ping is sent", func() bool {
		o.insert(frame.Encode(frame.Ping, bytes.Repeat([]byte("x"), 4)), false)
		return !c.PingSent().IsZero()
	})
	o.unlock()
	eventually(t, "nothing is unsent", func() bool { return c.Unsent() == 0 })
	c.Abort()
	c.Hangup()
	client.Close()
}
