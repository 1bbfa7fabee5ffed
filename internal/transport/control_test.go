package transport

import (
	"bytes"
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// decoded returns the frames of b.
func decoded(tb testing.TB, b []byte) (all []wstest.Frame) {
	tb.Helper()
	for len(b) > 0 {
		f, rest, err := wstest.Decode(b)
		if err != nil {
			tb.Fatalf("%v in %x", err, b)
		}
		all = append(all, f)
		b = rest
	}
	return all
}

// TestControlUnderWrite receives and sends pings while a frame is written to a peer that
// reads nothing. They must not wait for the frame, and not be sent inside it. The Conn
// answers the newest of many pings.
func TestControlUnderWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		o := options()
		var pings, pongs int
		o.OnPing = func() { pings++ }
		o.OnPong = func([]byte) { pongs++ }
		c := New(server, nil, o)
		ws := accept(t, c)
		written := make(chan error, 1)
		payload := bytes.Repeat([]byte("x"), 5000)
		go func() { written <- ws.Write(context.Background(), websocket.MessageBinary, payload) }()
		read := make(chan error, 1)
		go func() { _, _, err := ws.Read(context.Background()); read <- err }()
		synctest.Wait()

		const many = maxPongs / (2 + 125)
		old := masked(frame.Fin|frame.Ping, bytes.Repeat([]byte("o"), 125))
		in := cat(bytes.Repeat(old, many), masked(frame.Fin|frame.Ping, bytes.Repeat([]byte("n"), 124)),
			masked(frame.Fin|frame.Ping, []byte("newer")), masked(frame.Fin|frame.Pong, nil))
		if _, err := client.Write(in); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // only the write waits
		if pings != many+2 || pongs != 1 {
			t.Fatalf("got %d pings and %d pongs while a write waits, want %d and 1", pings, pongs, many+2)
		}
		c.Ping([]byte("ours"))
		if !c.PingSent().IsZero() {
			t.Error("a ping behind a write has left already")
		}
		time.Sleep(time.Second)
		asked := time.Now()

		all := drained(client)
		if err := <-written; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if left := c.PingSent(); left.Before(asked) {
			t.Errorf("the ping left at %v, want it after the write, %v", left, asked)
		}
		go c.Abort()
		<-read
		_ = ws.CloseNow()
		c.base = nopCloser{server}
		c.Hangup()
		got := decoded(t, <-all)
		if len(got) != 4 || !bytes.Equal(got[0].Payload, payload) || got[1].Opcode != frame.Pong || len(got[1].Payload) != 124 ||
			got[2].Opcode != frame.Pong || string(got[2].Payload) != "newer" || got[3].Opcode != frame.Ping || string(got[3].Payload) != "ours" {
			t.Errorf("got %v, want the message, the pongs of the newest pings, and the ping", got)
		}
	})
}

// TestControlAfterClose checks that nothing is sent after a close frame.
func TestControlAfterClose(t *testing.T) {
	server, client := over(t, "tcp")
	c := New(server, nil, options())
	ws := accept(t, c)
	all := drained(client)
	closed := make(chan error, 1)
	go func() { closed <- ws.Close(1001, "") }()
	eventually(t, "the close frame has been sent", c.CloseSent)
	c.CloseBy(time.Now()) // the peer does not answer
	_ = within(t, closed)
	c.Ping([]byte("late"))
	c.Hangup()
	if got := decoded(t, <-all); len(got) != 1 || got[0].Opcode != frame.Close {
		t.Errorf("got %v, want a close frame and nothing more", got)
	}
}
