package client

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// TestEcho: an echo may have fragments, and the client answers pings.
func TestEcho(t *testing.T) {
	text := strings.Repeat("abcdefghijklmnopqrstuvwxyz", 8)[:200]
	ping, hello := wstest.PingFrame("there?"), wstest.TextFrame(text)
	parts := wstest.Fragments(wstest.Text, text[:10], "", text[10:])
	other := wstest.TextFrame("A" + text[1:])
	for _, test := range []struct {
		name  string
		back  []wstest.Frame
		pongs int
		ok    bool
	}{
		{"whole", []wstest.Frame{hello}, 0, true},
		{"a ping first", []wstest.Frame{ping, hello}, 1, true},
		{"fragments", parts, 0, true},
		{"pings between fragments", []wstest.Frame{parts[0], ping, parts[1], ping, parts[2]}, 2, true},
		{"another text", []wstest.Frame{other}, 0, false},
		{"binary", []wstest.Frame{wstest.BinaryFrame([]byte(text))}, 0, false},
		{"too short", []wstest.Frame{wstest.TextFrame(text[:199])}, 0, false},
		{"too long", []wstest.Frame{wstest.TextFrame(text + "a")}, 0, false},
		{"too long in fragments", wstest.Fragments(wstest.Text, text, "a"), 0, false},
		{"a continuation without a message", []wstest.Frame{parts[2]}, 0, false},
		{"a message in a message", []wstest.Frame{parts[0], hello}, 0, false},
		{"a masked frame", []wstest.Frame{hello.WithKey([4]byte{1, 2, 3, 4})}, 0, false},
		{"a close frame", []wstest.Frame{wstest.CloseFrame(1000, "")}, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			pongs := make(chan int, 1)
			url := wstest.Serve(t, func(p *wstest.Peer) {
				n := 0
				defer func() { pongs <- n }()
				if f, err := p.Recv(); err != nil || string(f.Payload) != text {
					t.Errorf("got %v, %v", f, err)
					return
				}
				if err := p.Send(test.back...); err != nil {
					t.Error(err)
				}
				for { // until the client closes
					f, err := p.Recv()
					if err != nil {
						return
					}
					if f.Opcode == wstest.Pong && string(f.Payload) == "there?" {
						n++
					}
				}
			})
			c, err := Dial(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			err = c.Echo(text)
			c.Close()
			switch {
			case test.ok && err != nil:
				t.Error(err)
			case !test.ok && !errors.Is(err, ErrWrong):
				t.Errorf("the error is %v", err)
			}
			if n := <-pongs; n != test.pongs {
				t.Errorf("%d pings were answered, want %d", n, test.pongs)
			}
		})
	}
}

// TestVisit: the server may send a ping before it answers the close frame.
func TestVisit(t *testing.T) {
	for _, test := range []struct {
		back []wstest.Frame
		want string
	}{
		{[]wstest.Frame{wstest.PingFrame("?"), wstest.CloseFrame(1000, "")}, ""},
		{[]wstest.Frame{wstest.TextFrame("more")}, "opcode 1 answered"},
		{nil, ErrNoClose.Error()},
	} {
		url := wstest.Serve(t, func(p *wstest.Peer) {
			f, err := p.Recv()
			if err != nil {
				t.Error(err)
				return
			}
			f.Masked = false
			if err := p.Send(f); err != nil {
				t.Error(err)
			}
			if f, err = p.Recv(); err != nil || f.Opcode != wstest.Close {
				t.Errorf("%v, %v", f, err)
			}
			if err := p.Send(test.back...); err != nil {
				t.Error(err)
			}
		})
		err := Visit(t.Context(), url, "hello", 5*time.Second)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("the error is %v, want %q", err, test.want)
		}
	}
}

// TestBytes: a server may echo bytes without WebSocket, and send nothing while idle.
func TestBytes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	p, err := Open(t.Context(), "tcp://"+l.Addr().String(), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if n, err := p.AnswerPings(time.Now().Add(10 * time.Millisecond)); n != 0 || err != nil {
		t.Errorf("got %d pings, %v", n, err)
	}
	if n := p.Alive(); n != 3 {
		t.Errorf("got %d echoes, want 3", n)
	}
}
