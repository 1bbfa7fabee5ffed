package transport

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
)

// morePendingTime gives the frame in progress more time than a slow machine needs.
func morePendingTime(c *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastFrame.by = time.Now().Add(time.Minute)
	if c.raw == nil {
		c.armWrite(c.lastFrame.by)
	}
}

// TestPendingClosePeerInPieces: the peer sends its close frame byte by byte. A reader has
// read a part of it when this side's close frame becomes pending. The rest arrives before
// and after Hangup begins. The peer gets the frame in progress, one close frame, and FIN.
// OnClose is called if the frame has the code of this side's close frame.
func TestPendingClosePeerInPieces(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"tcp", "tls"} {
		for _, test := range []struct {
			name   string
			f      []byte
			answer string // of OnClose; "": it is not called
		}{
			{"same code", closing(1001, "bye"), "1001 bye"},
			{"another code", closing(4999, "bye"), ""},
			{"no code", masked(frame.Fin|frame.Close, nil), ""},
			{"one byte", masked(frame.Fin|frame.Close, []byte{3}), ""},
			{"reason not UTF-8", closing(1001, "\xff"), ""},
		} {
			t.Run(kind+" "+test.name, func(t *testing.T) {
				t.Parallel()
				for cut := range len(test.f) {
					for attempt := 1; pendingClosePeerInPieces(t, kind, test.f, cut, test.answer); attempt++ {
						if attempt == 100 {
							t.Fatal("this machine is too slow")
						}
					}
				}
			})
		}
	}
}

// pendingClosePeerInPieces runs that test with cut bytes before this side's close frame. It
// reports whether the machine was so slow that a limit of the close has passed.
func pendingClosePeerInPieces(t *testing.T, kind string, f []byte, cut int, want string) (late bool) {
	server, client := over(t, kind)
	var calls atomic.Int32
	answer := ""
	o := options()
	o.OnClose = func(code websocket.StatusCode, reason string) bool {
		calls.Add(1)
		answer = fmt.Sprint(int(code), " ", reason)
		return false
	}
	c := New(server, nil, o)
	ws := accept(t, c)
	read := make(chan error, 1)
	go func() {
		_, err := message(ws)
		read <- err
	}()
	got := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(client)
		got <- b
	}()
	if _, err := c.Write([]byte("\x82\x03")); err != nil {
		t.Fatal(err)
	}
	for i := range cut {
		before := c.LastReceived()
		write(t, client, f[i:i+1])
		eventually(t, "the byte is read", func() bool { return c.LastReceived() != before })
	}
	c.Fail(net.ErrClosed)
	c.TryClose(1001, "ours")
	morePendingTime(c)
	c.CloseBy(time.Now().Add(time.Minute))
	_ = ws.CloseNow()
	if within(t, read) == nil {
		t.Error("a read succeeded")
	}
	middle := cut + (len(f)-cut)/2
	for i := range f[cut:middle] {
		write(t, client, f[cut+i:cut+i+1])
	}
	began := time.Now()
	if _, err := c.Write([]byte("abc")); err != nil {
		t.Error(err)
	}
	late = kind == "tls" && time.Since(began) >= minStall
	hungUp := make(chan struct{})
	began = time.Now()
	go func() {
		c.Hangup()
		close(hungUp)
	}()
	all := within(t, got) // to the FIN
	for i := range f[middle:] {
		eventually(t, "the byte is discarded", func() bool { return socket.Unread(c.base) == 0 })
		if _, err := client.Write(f[middle+i : middle+i+1]); err != nil && time.Since(began) < lingerTime {
			t.Fatal(err)
		}
	}
	client.Close()
	within(t, hungUp)
	if late || time.Since(began) >= lingerTime {
		return true
	}
	if string(all) != "\x82\x03abc\x88\x06\x03\xe9ours" {
		t.Errorf("cut at %d: the peer got %q", cut, all)
	}
	if n := calls.Load(); n > 1 || answer != want {
		t.Errorf("cut at %d: OnClose was called %d times, at last with %q, want %q", cut, n, answer, want)
	}
	return false
}

func write(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}
