package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
)

// checkClosed fails the test unless c has sent this close frame and writes no more.
func checkClosed(t *testing.T, c *Conn, code websocket.StatusCode, reason string) {
	t.Helper()
	if gotCode, gotReason := c.OurClose(); !c.CloseSent() || gotCode != code || gotReason != reason {
		t.Errorf("close frame sent %v, with %d %q, want %d %q", c.CloseSent(), gotCode, gotReason, code, reason)
	}
	if _, err := c.Write([]byte("\x81\x01a")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after it: got %v, want %v", err, net.ErrClosed)
	}
	c.Ping([]byte("late"))
	if c.TryClose(1000, "again") {
		t.Error("a second close frame was sent")
	}
}

func TestTryClose(t *testing.T) {
	for _, kind := range kinds {
		for _, test := range []struct {
			code   websocket.StatusCode
			reason string
			want   string
		}{
			{websocket.StatusGoingAway, "no pong", "\x88\x09\x03\xe9no pong"},
			{websocket.StatusNoStatusRcvd, "", "\x88\x00"},
		} {
			t.Run(fmt.Sprint(kind, test.code), func(t *testing.T) {
				// A busy machine may be slower than TryClose allows for a plain write.
				for attempt := 1; ; attempt++ {
					server, client := over(t, kind)
					c := New(server, nil, options())
					all := drained(client)
					began := time.Now()
					sent := c.TryClose(test.code, test.reason)
					if slow := time.Since(began) >= minStall; slow && !sent && kind != "tcp" && attempt < manyAttempts {
						c.Hangup()
						continue
					}
					if !sent {
						t.Fatal("an idle socket accepted no close frame")
					}
					checkClosed(t, c, test.code, test.reason)
					c.Hangup()
					if got := string(within(t, all)); got != test.want {
						t.Errorf("the peer got %q, want %q", got, test.want)
					}
					return
				}
			})
		}
	}
}

// TestTryCloseBehindReplies sends buffered replies and the close frame in one write.
func TestTryCloseBehindReplies(t *testing.T) {
	r := newRecorder(cat(text("a"), text("b")))
	c := trusted(r, nil, options(), true)
	ws := accept(t, c)
	if _, err := message(ws); err != nil {
		t.Fatal(err)
	}
	if err := ws.Write(context.Background(), websocket.MessageText, []byte("a")); err != nil {
		t.Fatal(err)
	}
	if !c.TryClose(1001, "") {
		t.Fatal("no close frame was sent")
	}
	if len(r.writes) != 1 || string(r.writes[0]) != "\x81\x01a\x88\x02\x03\xe9" {
		t.Errorf("got writes %q, want the reply and the close frame in one", r.writes)
	}
	if _, out := c.Counts(); out != (frame.ByType{{Messages: 1, Bytes: 1}}) {
		t.Errorf("got %+v, want 1 text message of 1 byte", out)
	}
	if !r.limit.IsZero() {
		t.Errorf("the write deadline was left at %v", r.limit)
	}
	checkClosed(t, c, 1001, "")
	_ = ws.CloseNow()
	c.Hangup()
}

// TestTryCloseDuringWrite returns at once while another goroutine waits for a peer
// that reads nothing. The close frame follows the message if the peer reads in time.
func TestTryCloseDuringWrite(t *testing.T) {
	for waited, want := range map[time.Duration][]byte{0: {frame.Binary, frame.Close}, 2 * minStall: {frame.Binary}} {
		t.Run(waited.String(), func(t *testing.T) { tryCloseDuringWrite(t, waited, want) })
	}
}

func tryCloseDuringWrite(t *testing.T, waited time.Duration, want []byte) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		c := New(server, nil, options())
		written := make(chan error, 1)
		go func() {
			_, err := c.Write(cat([]byte("\x82\x7e\x10\x00"), make([]byte, 4096)))
			written <- err
		}()
		synctest.Wait()
		time.Sleep(waited)
		began := time.Now()
		if c.TryClose(1001, "") {
			t.Error("a close frame was sent inside another frame")
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("TryClose took %v, want no wait", d)
		}
		all := drained(client)
		if err := <-written; err != nil {
			t.Error(err)
		}
		c.base = nopCloser{server}
		go c.Abort()
		c.Hangup()
		server.Close()
		var got []byte
		for _, f := range decoded(t, <-all) {
			got = append(got, f.Opcode)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("got opcodes %v, want %v", got, want)
		}
	})
}

// TestTryCloseInsideFrame sends the close frame only between two frames.
func TestTryCloseInsideFrame(t *testing.T) {
	server, client := over(t, "tcp")
	c := New(server, nil, options())
	all := drained(client)
	for _, part := range []string{"\x82", "\x02", "a"} {
		if _, err := c.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
		if c.TryClose(1001, "") {
			t.Fatalf("a close frame was sent after the part %q of a frame", part)
		}
	}
	if _, err := c.Write([]byte("b")); err != nil {
		t.Fatal(err)
	}
	checkClosed(t, c, 1001, "")
	c.Hangup()
	if got, want := string(within(t, all)), "\x82\x02ab\x88\x02\x03\xe9"; got != want {
		t.Errorf("the peer got %q, want %q", got, want)
	}
}

// fillSocket writes to a socket until it accepts no more. It returns the number of bytes.
func fillSocket(t *testing.T, sock net.Conn) (n int) {
	t.Helper()
	junk := make([]byte, 64<<10)
	err := socket.Raw(sock).Control(func(fd uintptr) {
		for {
			k, err := socket.Write(fd, junk)
			if err != nil {
				return
			}
			n += k
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTryCloseFullSocket has a socket that accepts nothing. The raw path stays as it was. TLS
// gives up, because the state of a failed write is unknown.
func TestTryCloseFullSocket(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"tcp", "tls"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			server, client := over(t, kind)
			c := New(server, nil, options())
			junk := fillSlowly(t, c, client)
			began := time.Now()
			if c.TryClose(1001, "") {
				t.Error("a full socket accepted a close frame")
			}
			t.Logf("measured: TryClose on a full socket took %v", time.Since(began))
			if c.CloseSent() {
				t.Error("a close frame counts as sent, and was not")
			}
			if kind == "tls" {
				if !c.out.insideTLSRecord.Load() {
					t.Error("the TLS stream counts as complete after a failed write")
				}
				client.Close()
				c.Hangup()
				return
			}
			got := make(chan []byte, 1)
			go func() {
				_, _ = io.CopyN(io.Discard, client, int64(junk))
				got <- within(t, drained(client))
			}()
			if _, err := c.Write([]byte("\x81\x01a")); err != nil {
				t.Error(err)
			}
			eventually(t, "a close frame when the socket has room", func() bool { return c.TryClose(1001, "") })
			c.Hangup()
			if got, want := string(within(t, got)), "\x81\x01a\x88\x02\x03\xe9"; got != want {
				t.Errorf("the peer got %q, want %q", got, want)
			}
		})
	}
}

// TestTryClosePart writes nothing after a part of the buffered replies: the stream
// ends inside a frame.
func TestTryClosePart(t *testing.T) {
	server, client := over(t, "tcp")
	if err := server.(*net.TCPConn).SetWriteBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Write = NewPool(4 << 20)
	c := trusted(server, nil, o, true)
	c.in.hasInput.Store(true) // replies stay in the buffer
	reply := cat([]byte("\x82\x7f\x00\x00\x00\x00\x00\x40\x00\x00"), make([]byte, 4<<20))
	if _, err := c.Write(reply); err != nil {
		t.Fatal(err)
	}
	if c.TryClose(1001, "") {
		t.Error("a close frame counts as sent behind a part of a reply")
	}
	if _, err := c.Write([]byte("\x81\x01a")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after it: got %v, want %v", err, net.ErrClosed)
	}
	if c.CloseSent() {
		t.Error("a close frame counts as sent, and was not")
	}
	all := drained(client)
	c.Hangup()
	if got := within(t, all); len(got) == 0 || !bytes.HasPrefix(reply, got) {
		t.Errorf("the peer got %d bytes, want a part of the reply", len(got))
	}
}

// TestTryCloseAmongWrites races with messages and pings. The close frame is the last
// frame if it was sent. A raw socket always sends it.
func TestTryCloseAmongWrites(t *testing.T) {
	for _, kind := range []string{"tcp", "tls"} {
		for i := range 100 {
			server, client := over(t, kind)
			c := New(server, nil, options())
			all := drained(client)
			var writers sync.WaitGroup
			writers.Go(func() {
				for range 20 {
					_, _ = c.Write([]byte("\x82\x02a"))
					_, _ = c.Write([]byte("b"))
				}
			})
			writers.Go(func() {
				for range 20 {
					c.Ping(nil)
				}
			})
			sent := false
			for range i {
				if sent = c.TryClose(1001, ""); sent {
					break
				}
			}
			writers.Wait()
			c.Hangup()
			if !c.CloseSent() && (sent || i > 0 && kind == "tcp") {
				t.Errorf("%s: no close frame was sent, and TryClose returned %v", kind, sent)
			}
			sent = c.CloseSent()
			got := decoded(t, within(t, all))
			for i, f := range got {
				if isClose := f.Opcode == frame.Close; isClose != (sent && i == len(got)-1) {
					t.Fatalf("%s: frame %d of %d is a close frame: %v, and one was sent: %v", kind, i, len(got), isClose, sent)
				}
			}
		}
	}
}

// A lateConn is late with each write, as on a busy machine.
type lateConn struct{ net.Conn }

func (c lateConn) NetConn() net.Conn { return c.Conn }

func (c lateConn) Write(p []byte) (int, error) {
	time.Sleep(2 * minStall)
	return c.Conn.Write(p)
}

// TestTryCloseLate: a write without a system call of its own is late, and the kernel's send
// queue is empty. The close frame is sent, because no peer delays it.
func TestTryCloseLate(t *testing.T) {
	if !socket.HaveQueue {
		t.Skip("the size of the send queue is not known")
	}
	server, client := over(t, "tcp")
	c := New(lateConn{server}, nil, options())
	all := drained(client)
	if !c.TryClose(1001, "") {
		t.Error("no close frame was sent")
	}
	c.Hangup()
	if got, want := string(within(t, all)), "\x88\x02\x03\xe9"; got != want {
		t.Errorf("the peer got %q, want %q", got, want)
	}
}
