package transport

import (
	"bytes"
	"testing"
	"time"
)

// endNow ends c as the server does after a missed pong: no write may wait for the peer.
func endNow(c *Conn) {
	c.TryClose(1001, "")
	c.CloseBy(time.Now())
	_ = c.Close()
}

// TestPendingClose: a goroutine is inside a write, or between two writes of a frame, when
// the connection ends. It completes the frame, and the close frame follows.
func TestPendingClose(t *testing.T) {
	const end = "\x88\x02\x03\xe9"
	for _, kind := range kinds {
		for name, test := range map[string]struct {
			want string
			run  func(*Conn) error
		}{
			"locked": {end, func(c *Conn) error {
				c.out.mu.Lock()
				endNow(c)
				c.out.unlock()
				return nil
			}},
			"inside a frame": {"\x82\x03abc" + end, func(c *Conn) error {
				for i, part := range []string{"\x82", "\x03", "a", "bc"} {
					if _, err := c.Write([]byte(part)); err != nil {
						return err
					}
					if i == 1 {
						endNow(c)
					}
				}
				return nil
			}},
			"behind a batch": {"\x81\x01a\x81\x01b" + end, func(c *Conn) error {
				c.in.hasInput.Store(true)
				for i, part := range []string{"\x81\x01a", "\x81", "\x01b"} {
					if _, err := c.Write([]byte(part)); err != nil {
						return err
					}
					if i == 1 {
						endNow(c)
					}
				}
				return nil
			}},
			"beside a ping": {end, func(c *Conn) error {
				c.out.mu.Lock()
				c.Ping(nil)
				endNow(c)
				c.out.unlock()
				c.Ping(nil)
				return nil
			}},
			"large frame": {"\x82\x7e\xff\xff" + string(make([]byte, 0xffff)) + end, func(c *Conn) error {
				if _, err := c.Write([]byte("\x82\x7e\xff\xff")); err != nil {
					return err
				}
				endNow(c)
				_, err := c.Write(make([]byte, 0xffff))
				return err
			}},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				// A busy machine may be slower than the close frame may be.
				limit := minStall
				if kind == "tcp" {
					limit = 200 * time.Millisecond
				}
				for attempt := 1; ; attempt++ {
					server, client := over(t, kind)
					c := trusted(server, nil, options(), true)
					all := drained(client)
					began := time.Now()
					err := test.run(c)
					slow := time.Since(began) >= limit
					sent := c.CloseSent()
					c.Hangup()
					got := string(within(t, all))
					if slow && (err != nil || !sent || got != test.want) && attempt < manyAttempts {
						continue
					}
					if err != nil || !sent || got != test.want {
						t.Errorf("error %v, close frame sent %v, the peer got %d bytes: %.40q, want %d: %.40q",
							err, sent, len(got), got, len(test.want), test.want)
					}
					return
				}
			})
		}
	}
}

// TestPendingCloseFullSocket: the socket does not accept the rest of the frame. So the
// write fails at once, and no close frame is sent inside the frame.
func TestPendingCloseFullSocket(t *testing.T) {
	for _, kind := range []string{"tcp", "tls"} {
		t.Run(kind, func(t *testing.T) {
			server, client := over(t, kind)
			c := New(server, nil, options())
			if _, err := c.Write([]byte("\x82\x7e\x10\x00")); err != nil {
				t.Fatal(err)
			}
			fillSlowly(t, c, client)
			endNow(c)
			began := time.Now()
			_, err := c.Write(make([]byte, 4096))
			if err == nil {
				t.Error("a full socket accepted a frame")
			}
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("the write failed after %v", d)
			}
			if c.CloseSent() || c.pendingClose() != nil {
				t.Error("a close frame was sent, or is pending, after a frame that failed")
			}
			client.Close()
			c.Hangup()
		})
	}
}

// TestPendingCloseWaitingWrite: a write waits for the peer when the connection ends. It
// fails, and no close frame is sent inside its frame.
func TestPendingCloseWaitingWrite(t *testing.T) {
	for _, kind := range []string{"tcp", "tls"} {
		t.Run(kind, func(t *testing.T) {
			server, client := over(t, kind)
			c := New(server, nil, options())
			written := make(chan error, 1)
			go func() {
				_, err := c.Write(cat([]byte("\x82\x7f\x00\x00\x00\x00\x04\x00\x00\x00"), make([]byte, 64<<20)))
				written <- err
			}()
			eventually(t, "the write waits", func() bool { return c.stalledSince.Load() != 0 && c.Unsent() != 0 })
			endNow(c)
			if within(t, written) == nil {
				t.Error("a write of 64 MiB succeeded")
			}
			if c.CloseSent() || c.pendingClose() != nil {
				t.Error("a close frame was sent, or is pending, after a frame that failed")
			}
			all := drained(client)
			c.Hangup()
			if got := within(t, all); bytes.Contains(got, []byte("\x88\x02\x03\xe9")) {
				t.Error("a close frame was sent inside a frame")
			}
		})
	}
}

// TestPendingCloseGivenUp: the frame in progress is never completed. Hangup waits for a
// short time, and the replies before that frame are sent.
func TestPendingCloseGivenUp(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			for attempt := 1; ; attempt++ {
				server, client := over(t, kind)
				c := trusted(server, nil, options(), true)
				all := drained(client)
				c.in.hasInput.Store(true)
				for _, part := range []string{"\x81\x01a", "\x82\x03b"} {
					if _, err := c.Write([]byte(part)); err != nil {
						t.Fatal(err)
					}
				}
				began := time.Now()
				c.TryClose(1001, "")
				_ = c.Close()
				c.Hangup()
				if d := time.Since(began); d > 10*time.Second {
					t.Errorf("it took %v", d)
				}
				got := string(within(t, all))
				if timedOut(c) && attempt < manyAttempts {
					continue
				}
				if got != "\x81\x01a\x82\x03b" {
					t.Errorf("the peer got %q", got)
				}
				if _, err := c.Write([]byte("cd")); err == nil {
					t.Error("a write after it succeeded")
				}
				return
			}
		})
	}
}

// TestPendingCloseTooLate: the frame in progress is not completed after the time of the
// close frame, although the socket accepts it.
func TestPendingCloseTooLate(t *testing.T) {
	server, client := over(t, "tcp")
	c := New(server, nil, options())
	if _, err := c.Write([]byte("\x82\x03")); err != nil {
		t.Fatal(err)
	}
	endNow(c)
	c.mu.Lock()
	c.lastFrame.by = time.Now()
	c.mu.Unlock()
	if _, err := c.Write([]byte("abc")); err == nil || c.CloseSent() {
		t.Errorf("error %v, close frame sent %v", err, c.CloseSent())
	}
	client.Close()
	c.Hangup()
}

// TestHangupWaitsForClose: a goroutine is inside a write. Hangup does not close the
// socket before that goroutine has sent the pending close frame.
func TestHangupWaitsForClose(t *testing.T) {
	for i := range 20 {
		server, client := over(t, "tcp")
		c := New(server, nil, options())
		all := drained(client)
		c.out.mu.Lock()
		endNow(c)
		c.lastFrame.by = time.Now().Add(time.Minute) // not given up on a slow machine
		hungUp := make(chan struct{})
		go func() {
			c.Hangup()
			close(hungUp)
		}()
		time.Sleep(time.Duration(i) * 100 * time.Microsecond)
		c.out.unlock()
		within(t, hungUp)
		if got := string(within(t, all)); got != "\x88\x02\x03\xe9" {
			t.Errorf("the peer got %q, want a close frame", got)
		}
	}
}

// TestPendingCloseBesidePong: another goroutine is about to send a pending pong when the
// close frame becomes pending. That goroutine sends the close frame too.
func TestPendingCloseBesidePong(t *testing.T) {
	server, client := over(t, "tcp")
	c := New(server, nil, options())
	o := &c.out
	o.pending.mu.Lock()
	o.hasPending.Store(true)
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		o.flushPending()
	}()
	eventually(t, "flushPending has begun", func() bool {
		if o.mu.TryLock() {
			o.mu.Unlock()
			return false
		}
		return true
	})
	c.TryClose(1001, "")
	o.pending.mu.Unlock()
	within(t, flushed)
	if !c.CloseSent() {
		t.Error("no close frame was sent")
	}
	client.Close()
	c.Hangup()
}
