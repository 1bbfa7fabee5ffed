package client

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// TestDo: what counts is the messages, however they are cut, and pings are answered.
func TestDo(t *testing.T) {
	text := strings.Repeat("abcdefghijklmnopqrstuvwxyz", 8)[:200]
	ping, hello := wstest.PingFrame("there?"), wstest.TextFrame(text)
	parts := wstest.Fragments(wstest.Text, text[:10], "", text[10:])
	other := wstest.TextFrame("A" + text[1:])
	for _, test := range []struct {
		name  string
		back  []wstest.Frame
		pongs int
		right bool
	}{
		{"whole", []wstest.Frame{hello, hello}, 0, true},
		{"a ping first", []wstest.Frame{ping, hello, hello}, 1, true},
		{"a ping between", []wstest.Frame{hello, ping, hello}, 1, true},
		{"fragments", append([]wstest.Frame{hello}, parts...), 0, true},
		{"a ping in fragments", []wstest.Frame{parts[0], ping, parts[1], ping, parts[2], hello}, 2, true},
		{"another text", []wstest.Frame{hello, other}, 0, false},
		{"binary", []wstest.Frame{hello, wstest.BinaryFrame([]byte(text))}, 0, false},
		{"too short", []wstest.Frame{hello, wstest.TextFrame(text[:199]), hello}, 0, false},
		{"a continuation of nothing", []wstest.Frame{parts[2], hello, hello}, 0, false},
		{"a message in a message", []wstest.Frame{parts[0], hello, hello}, 0, false},
		{"a goodbye", []wstest.Frame{hello, wstest.CloseFrame(1000, ""), hello}, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			pongs := make(chan int, 1)
			url := wstest.Serve(t, func(p *wstest.Peer) {
				n := 0
				defer func() { pongs <- n }()
				for range 2 {
					if _, err := p.Recv(); err != nil {
						t.Error(err)
						return
					}
				}
				if err := p.Send(test.back...); err != nil {
					t.Error(err)
				}
				for { // until the client leaves
					f, err := p.Recv()
					if err != nil {
						return
					}
					if f.Opcode == wstest.Pong && string(f.Payload) == "there?" {
						n++
					}
				}
			})
			c, err := Dial(t.Context(), strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/"), false)
			if err != nil {
				t.Fatal(err)
			}
			err = c.Do(NewBatch(2, len(text), true, false))
			c.Close()
			switch {
			case test.right && err != nil:
				t.Error(err)
			case !test.right && !errors.Is(err, ErrWrong):
				t.Errorf("the error is %v", err)
			}
			if n := <-pongs; n != test.pongs {
				t.Errorf("%d pings were answered, want %d", n, test.pongs)
			}
		})
	}
}

// TestVisit: a ping may come before the answer to the goodbye.
func TestVisit(t *testing.T) {
	b := NewBatch(1, 5, true, false)
	for _, test := range []struct {
		back []wstest.Frame
		want string
	}{
		{[]wstest.Frame{wstest.PingFrame("?"), wstest.CloseFrame(1000, "")}, ""},
		{[]wstest.Frame{wstest.TextFrame("more")}, "answered with 81 04"},
		{nil, "no answer"},
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
		err := Visit(t.Context(), strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/"), b, 5*time.Second)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("the error is %v, want %q", err, test.want)
		}
	}
}
