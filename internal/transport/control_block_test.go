package transport

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
)

// fillSlowly fills the socket under c until the kernel accepts no more, also after a
// while. The kernel would later enlarge buffers without a fixed size. It returns the number of
// bytes.
func fillSlowly(t *testing.T, c *Conn, client net.Conn) (n int) {
	t.Helper()
	if err := c.base.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	shrink(client)
	for quiet := 0; quiet < 5; time.Sleep(5 * time.Millisecond) {
		k := fillSocket(t, c.base)
		if quiet++; k > 0 {
			quiet = 0
		}
		n += k
	}
	return n
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
	arrived := make(chan []byte, 1)
	go func() {
		var all []byte
		for b := make([]byte, 64<<10); !bytes.HasSuffix(all, []byte("two")); {
			n, err := client.Read(b)
			if all = append(all, b[:n]...); err != nil {
				break
			}
		}
		arrived <- all
	}()
	got := within(t, arrived)
	eventually(t, "the ping has been sent", func() bool { return !c.PingSent().IsZero() })
	client.Close()
	c.Hangup()
	got = got[bytes.IndexByte(got, frame.Fin|frame.Ping):]
	frames := decoded(t, got)
	if last := frames[len(frames)-1]; last.Opcode != frame.Ping || string(last.Payload) != "two" {
		t.Errorf("got %v, want pings up to the newest", frames)
	}
}

// TestPingNeverStalls: a ping that the peer does not accept has no limit, and is sent when the
// peer reads again. A frame or pong behind it has one.
func TestPingNeverStalls(t *testing.T) {
	t.Parallel()
	for name, behind := range map[string]func(c *Conn){
		"alone": nil,
		"frame": func(c *Conn) { go c.Write([]byte{frame.Fin | frame.Text, 1, 'x'}) },
		"pong":  func(c *Conn) { c.handleControl(frame.Ping, []byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := over(t, "pipe")
			o := options()
			o.WriteTimeout = 100 * time.Millisecond
			c := New(server, nil, o)
			c.Ping([]byte("one"))
			eventually(t, "the ping waits", c.Writing)
			time.Sleep(4 * o.WriteTimeout)
			c.Ping([]byte("two"))
			if err := c.Err(); err != nil || !c.Writing() {
				t.Errorf("after four timeouts: got %v, a write waits %v", err, c.Writing())
			}
			if behind == nil {
				for _, want := range []string{"one", "two"} {
					b := make([]byte, 5)
					if _, err := io.ReadFull(client, b); err != nil || string(b[2:]) != want {
						t.Errorf("got %q, %v, want the ping %q", b, err, want)
					}
				}
			} else {
				start := time.Now()
				behind(c)
				eventually(t, "the write has stalled", func() bool { return c.Err() != nil })
				if d := time.Since(start); kindOf(c.Err()) != ending.WriteStalled || d < o.WriteTimeout {
					t.Errorf("got %v after %v, want a stall after the write timeout", c.Err(), d)
				}
			}
			c.Abort()
			c.Hangup()
		})
	}
}
