package transport

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// TestPongHook: Options.Pong decides about each pong, at any time. After the end of the
// Conn, send does nothing.
func TestPongHook(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			server, client := over(t, kind)
			peer := wstest.Client(client)
			o := options()
			var kept func([]byte)
			o.Pong = func(ping []byte, send func([]byte)) {
				kept = send
				switch string(ping) {
				case "right":
					send(ping)
				case "other":
					send([]byte("another"))
				case "two":
					send([]byte("1"))
					send([]byte("2"))
				}
			}
			c := New(server, nil, o)
			ws := accept(t, c)
			read := make(chan error, 1)
			go func() { _, _, err := ws.Read(context.Background()); read <- err }()
			if err := peer.Send(wstest.PingFrame("none"), wstest.PingFrame("right"), wstest.PingFrame("other"), wstest.PingFrame("two")); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"right", "another", "1", "2"} {
				if f, err := peer.Recv(); err != nil || f.Opcode != frame.Pong || string(f.Payload) != want {
					t.Fatalf("got %v, %v, want a pong of %q", f, err, want)
				}
			}
			_ = ws.CloseNow()
			<-read
			peer.Close()
			c.Hangup()
			kept([]byte("late"))
		})
	}
}

// TestPongHookTimer: a pong that a timer sends meets an idle Conn.
func TestPongHookTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := over(t, "pipe")
		peer := wstest.Client(client)
		o := options()
		o.Pong = func(ping []byte, send func([]byte)) {
			text := string(ping)
			time.AfterFunc(2*time.Second, func() { send([]byte(text)) })
		}
		c := New(server, nil, o)
		ws := accept(t, c)
		read := make(chan error, 1)
		go func() { _, _, err := ws.Read(context.Background()); read <- err }()
		start := time.Now()
		if err := peer.Send(wstest.PingFrame("x")); err != nil {
			t.Fatal(err)
		}
		if f, err := peer.Recv(); err != nil || f.Opcode != frame.Pong || string(f.Payload) != "x" || time.Since(start) != 2*time.Second {
			t.Errorf("got %v, %v after %v, want a pong after 2 s", f, err, time.Since(start))
		}
		_ = ws.CloseNow()
		<-read
		peer.Close()
		c.Hangup()
	})
}
