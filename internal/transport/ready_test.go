package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
	"example.com/wsecho/wstest"
)

// servedReady returns a Conn for ServeReady, with coder over it, and its client.
func servedReady(tb testing.TB) (*Conn, *websocket.Conn, *net.TCPConn) {
	tb.Helper()
	sock, client := loopback(tb)
	if err := client.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	o := options()
	o.ServeReady = true
	c := trusted(sock, nil, o, false)
	if !c.CanPark() {
		c.Abort()
		c.Hangup()
		tb.Skip("this system reports no readiness")
	}
	ws := accept(tb, c)
	tb.Cleanup(func() {
		client.Close()
		_ = ws.CloseNow()
		c.Hangup()
	})
	return c, ws, client.(*net.TCPConn)
}

// echoBuffered echoes the buffered messages.
func echoBuffered(c *Conn, ws *websocket.Conn) error {
	for {
		size, idle := c.Wait()
		if idle {
			return nil
		}
		typ, b, err := ws.Read(context.Background())
		if err == nil && size >= 0 && size != int64(len(b)) {
			err = fmt.Errorf("a message of %d bytes, which Wait reported with %d", len(b), size)
		}
		if err == nil {
			err = ws.Write(context.Background(), typ, b)
		}
		if err != nil {
			return err
		}
	}
}

// serveAll echoes until a read fails. It returns that error.
func serveAll(c *Conn, ws *websocket.Conn) (err error) {
	for err == nil {
		if c.ServeReady(func() bool { err = echoBuffered(c, ws); return err == nil }, time.Hour, time.Hour) == NeedRead {
			err = echoBuffered(c, ws)
		}
	}
	return err
}

// TestServeReadyEnd checks that an end right behind a message is detected at once. The
// kernel reports both in one event. The peer waits for the echo or not, and sends messages
// or control frames.
func TestServeReadyEnd(t *testing.T) {
	const soon = 5 * time.Second // a heartbeat would be slower
	text := wstest.TextFrame("hello").WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	begun := append([]byte(nil), text...)
	begun[0] &^= frame.Fin
	pong := wstest.PongFrame("x").WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	sends := map[string][]byte{"a message": text, "a fragment": begun, "a pong": pong, "nothing": nil, "a part of a header": text[:3]}
	ends := map[string]func(tcp *net.TCPConn) error{
		"FIN": (*net.TCPConn).CloseWrite,
		"RST": func(tcp *net.TCPConn) error {
			if err := tcp.SetLinger(0); err != nil {
				return err
			}
			return tcp.Close()
		},
	}
	for name, send := range sends {
		for end, by := range ends {
			t.Run(name+" and "+end, func(t *testing.T) {
				t.Parallel()
				for i := range 60 {
					c, ws, client := servedReady(t)
					done := make(chan error, 1)
					go func() { done <- serveAll(c, ws) }()
					for range i % 3 * 4 { // a busy connection
						if _, err := client.Write(text); err != nil {
							t.Fatal(err)
						}
						if _, err := io.ReadFull(client, make([]byte, 7)); err != nil {
							t.Fatal(err)
						}
					}
					if _, err := client.Write(send); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Duration(i/3) * 5 * time.Microsecond) // before, while and after it is read
					if err := by(client); err != nil {
						t.Fatal(err)
					}
					select {
					case err := <-done:
						reset := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
						if end == "FIN" && reset || end == "RST" && !reset && !isKind(c.Err(), ending.Reset) {
							t.Fatalf("%v, after %v", err, c.Err())
						}
					case <-time.After(soon):
						t.Fatalf("round %d: the end was not detected", i)
					}
				}
			})
		}
	}
}

func isKind(err error, k ending.Kind) bool { return ending.Of(err).Kind == k }

// TestServeReadyReads counts the reads of a busy connection: one for a message. If a pause
// between two messages is longer than recentInput, one more may follow.
func TestServeReadyReads(t *testing.T) {
	c, ws, client := servedReady(t)
	done := make(chan error, 1)
	go func() { done <- serveAll(c, ws) }()
	text := wstest.TextFrame("hello").WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	const messages = 200
	began := time.Now()
	for range messages {
		if _, err := client.Write(text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
	}
	pauses := int(time.Since(began).Nanoseconds() / recentInput)
	client.Close()
	<-done
	reads := c.in.server.reads
	t.Logf("measured: %d reads for %d messages", reads, messages)
	if most := messages + messages/10 + 2*pauses; socket.ReadsAll && reads > most {
		t.Errorf("%d reads for %d messages, want no more than %d", reads, messages, most)
	}
}

// TestServeReadyTogether checks that messages that arrive together are handled in one
// call, each once and in order. They have any fragments, and control frames between them.
func TestServeReadyTogether(t *testing.T) {
	c, ws, client := servedReady(t)
	calls := 0
	done := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			if c.ServeReady(func() bool { calls++; err = echoBuffered(c, ws); return err == nil }, time.Hour, time.Hour) == NeedRead {
				err = echoBuffered(c, ws)
			}
		}
		done <- err
	}()
	var all []byte
	for i := range 20 {
		all = wstest.TextFrame(string(rune('a' + i))).WithKey([4]byte{1, 2, 3, 4}).Append(all)
	}
	for _, cut := range []int{0, 1, 3, 6, 7, 10, 64, len(all) - 1} {
		for _, p := range [][]byte{all[:cut], all[cut:]} {
			if _, err := client.Write(p); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		back := make([]byte, 20*3)
		if _, err := io.ReadFull(client, back); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			if got := string(back[3*i:][:3]); got != "\x81\x01"+string(rune('a'+i)) {
				t.Fatalf("cut at %d: message %d was echoed as %q", cut, i, got)
			}
		}
	}
	client.Close()
	<-done
	if calls > 8*4 {
		t.Errorf("%d calls for 8 times 20 messages that arrived in at most two pieces", calls)
	}
}

// TestServeReadyIdle checks that ServeReady returns after a time without messages. Pongs do
// not extend that time.
func TestServeReadyIdle(t *testing.T) {
	t.Parallel()
	const rest = 200 * time.Millisecond
	c, ws, client := servedReady(t)
	var last time.Time // a message was handled
	handle := func() bool {
		last = time.Now()
		return echoBuffered(c, ws) == nil
	}
	pong := wstest.PongFrame("x").WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	text := wstest.TextFrame("hello").WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	stop := make(chan struct{})
	var sending sync.WaitGroup
	send := func(p []byte) {
		sending.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(rest / 20):
					_, _ = client.Write(p)
				}
			}
		})
	}
	send(pong)
	if why := c.ServeReady(handle, rest, rest); why != Idle {
		t.Errorf("among pongs it returned %d, want %d", why, Idle)
	}
	send(text)
	sending.Go(func() { _, _ = io.Copy(io.Discard, client) })
	time.AfterFunc(3*rest, func() { close(stop) })
	if why := c.ServeReady(handle, time.Minute, rest); why != Idle {
		t.Errorf("after messages it returned %d, want %d", why, Idle)
	}
	if d := time.Since(last); last.IsZero() || d < rest {
		t.Errorf("it was idle %v after a message, want %v", d, rest)
	}
	client.Close()
	sending.Wait()
}

// TestServeReadyPart checks that ServeReady does not wait for the remaining bytes of a
// header, because it has no MessageTimeout.
func TestServeReadyPart(t *testing.T) {
	c, _, client := servedReady(t)
	if _, err := client.Write([]byte{0x81}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the part is read", func() bool { _ = c.Park(); return len(c.in.incompleteFrame) > 0 })
	if c.Park() {
		t.Error("it can be parked, with a part of a header buffered")
	}
	why := make(chan Readiness, 1)
	go func() { why <- c.ServeReady(func() bool { return true }, time.Hour, time.Hour) }()
	select {
	case got := <-why:
		if got != NeedRead {
			t.Errorf("it returned %d, want %d", got, NeedRead)
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits for the remaining header")
		client.Close()
		<-why
	}
}

// TestServeReadyClose checks that Close reads the peer's answer while ServeReady waits for
// the socket. The handler or another goroutine calls Close.
func TestServeReadyClose(t *testing.T) {
	for name, inside := range map[string]bool{"inside": true, "beside": false} {
		t.Run(name, func(t *testing.T) {
			c, ws, client := servedReady(t)
			peer := wstest.Client(client)
			if err := peer.Send(wstest.TextFrame("hello")); err != nil {
				t.Fatal(err)
			}
			closed := make(chan error, 1)
			sendClose := func() {
				c.CloseBy(time.Now().Add(15 * time.Second))
				closed <- ws.Close(websocket.StatusNormalClosure, "bye")
			}
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				f, err := peer.Recv()
				if err != nil || f.Opcode != wstest.Close {
					t.Errorf("got %v, %v, want a close frame", f, err)
					return
				}
				time.Sleep(20 * time.Millisecond) // Close must wait for it
				if err := peer.Send(wstest.CloseFrame(1000, "")); err != nil {
					t.Error(err)
				}
			}()
			began := time.Now()
			c.ServeReady(func() bool {
				_, _, err := ws.Read(context.Background())
				if err != nil {
					t.Error(err)
				}
				if inside {
					sendClose()
				} else {
					go sendClose()
					<-answered
					time.Sleep(50 * time.Millisecond) // a slow handler
				}
				return false
			}, time.Hour, time.Hour)
			if err := <-closed; err != nil {
				t.Errorf("closing: %v", err)
			}
			if d := time.Since(began); d > 4*time.Second {
				t.Errorf("it took %v", d)
			}
			if code, _ := c.PeerClose(); code != 1000 {
				t.Errorf("the peer's close frame was not read: %d", code)
			}
		})
	}
}

// TestServeReadyAbort checks that Abort ends the handler's calls at once and does not wait
// for the handler.
func TestServeReadyAbort(t *testing.T) {
	c, ws, client := servedReady(t)
	_ = client.SetReadBuffer(4 << 10)
	if _, err := client.Write(wstest.TextFrame("hello").WithKey([4]byte{1, 2, 3, 4}).Append(nil)); err != nil {
		t.Fatal(err)
	}
	stuck, over := make(chan struct{}), make(chan error, 1)
	go func() {
		c.ServeReady(func() bool {
			close(stuck)
			var err error
			for b := make([]byte, 1<<20); err == nil; { // the peer does not read
				err = ws.Write(context.Background(), websocket.MessageBinary, b)
			}
			over <- err
			return false
		}, time.Hour, time.Hour)
	}()
	<-stuck
	eventually(t, "the write waits", c.Writing)
	c.Abort()
	select {
	case <-over:
	case <-time.After(5 * time.Second):
		t.Fatal("the handler still writes")
	}
	client.Close()
}

// TestParkUnread checks that input in the kernel's buffer unparks a connection. After a pause
// of the process the heartbeat may run before the read of that input.
func TestParkUnread(t *testing.T) {
	t.Parallel()
	if !socket.HaveQueue {
		t.Skip("the receive queue is not known here")
	}
	server, client := over(t, "tcp")
	o := options()
	o.ServeReady = true
	c := New(server, nil, o)
	if !c.Park() {
		t.Fatal("the connection is not parked")
	}
	since := c.ReadingSince()
	if since.IsZero() {
		t.Fatal("nothing waits for the peer")
	}
	if !c.Park() || !c.ReadingSince().Equal(since) {
		t.Errorf("waiting since %v, want %v: nothing has come", c.ReadingSince(), since)
	}
	if _, err := client.Write([]byte{0x8a, 0x80, 1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the kernel has a pong", func() bool { return socket.Unread(server) > 0 })
	if got := c.ReadingSince(); !got.IsZero() {
		t.Errorf("waiting since %v with unread input", got)
	}
	if !c.Park() || !c.ReadingSince().After(since) {
		t.Errorf("waiting since %v, want after %v: a pong has come", c.ReadingSince(), since)
	}
	c.Hangup()
}
