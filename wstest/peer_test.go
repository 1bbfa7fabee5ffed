package wstest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/wstest"
	"github.com/coder/websocket"
)

// TestEnd has one row for each way in which a peer can end the stream.
func TestEnd(t *testing.T) {
	send := func(p *wstest.Peer, frames ...wstest.Frame) { check(t, p.Send(frames...)) }
	for _, test := range []struct {
		name   string
		secure bool
		server func(*wstest.Peer)
		want   wstest.End
	}{
		{"FIN", false, func(p *wstest.Peer) { check(t, p.FIN()); wstest.Silent(p) }, wstest.End{FIN: true}},
		{"Close", false, func(p *wstest.Peer) { check(t, p.Close()) }, wstest.End{FIN: true}},
		{"RST", false, func(p *wstest.Peer) { check(t, p.RST()) }, wstest.End{RST: true}},
		{"close frame, FIN", false, func(p *wstest.Peer) {
			send(p, wstest.TextFrame("x"), wstest.CloseFrame(1001, "bye"))
		}, wstest.End{Code: 1001, Reason: "bye", FIN: true, Frames: 2}},
		{"close frame without a code", false, func(p *wstest.Peer) {
			send(p, wstest.CloseFrame(0, ""))
		}, wstest.End{Code: wstest.NoStatus, FIN: true, Frames: 1}},
		{"two close frames and a pong", false, func(p *wstest.Peer) {
			send(p, wstest.CloseFrame(1000, ""), wstest.CloseFrame(1001, ""), wstest.PongFrame(""))
		}, wstest.End{Code: 1000, FIN: true, Frames: 3, AfterClose: 2}},
		{"inside a header", false, func(p *wstest.Peer) {
			check(t, p.SendRaw(wstest.Header(0x81, false, [4]byte{}, 126, 7)))
		}, wstest.End{FIN: true, Truncated: true}},
		{"inside a payload", false, func(p *wstest.Peer) {
			check(t, p.SendRaw(append(wstest.Header(0x81, false, [4]byte{}, 1<<62, 64), 'x')))
		}, wstest.End{FIN: true, Truncated: true}},
		{"before a payload", false, func(p *wstest.Peer) {
			check(t, p.SendRaw(wstest.Header(0x81, false, [4]byte{}, 1, 0)))
		}, wstest.End{FIN: true, Truncated: true}},

		{"TLS FIN", true, func(p *wstest.Peer) {
			send(p, wstest.CloseFrame(1000, ""))
			check(t, p.FIN())
			wstest.Silent(p)
		}, wstest.End{Code: 1000, FIN: true, CloseNotify: true, Frames: 1}},
		{"TLS Close", true, func(p *wstest.Peer) { check(t, p.Close()) }, wstest.End{FIN: true, CloseNotify: true}},
		{"TLS CutTLS", true, func(p *wstest.Peer) {
			send(p, wstest.TextFrame("x"))
			check(t, p.CutTLS())
			wstest.Silent(p)
		}, wstest.End{FIN: true, Frames: 1}},
		{"TLS RST", true, func(p *wstest.Peer) { check(t, p.RST()) }, wstest.End{RST: true}},
		{"TLS close_notify, RST", true, func(p *wstest.Peer) {
			check(t, p.CloseNotify())
			p.Recv() // until the client has seen it
			check(t, p.RST())
		}, wstest.End{RST: true, CloseNotify: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			serve := wstest.Serve
			if test.secure {
				serve = wstest.ServeTLS
			}
			p := dial(t, serve(t, test.server), wstest.DialOptions{})
			if test.want.CloseNotify && test.want.RST {
				if _, err := p.Recv(); err != io.EOF {
					t.Errorf("got %v, want %v", err, io.EOF)
				}
				check(t, p.Send(wstest.PingFrame("")))
			}
			for range 2 { // The second call returns the same, without new frames.
				got, err := p.End(5 * time.Second)
				if err != nil || got.After < 0 || got.After > 4*time.Second {
					t.Errorf("after %v: %v", got.After, err)
				}
				got.After = 0
				if got != test.want {
					t.Errorf("got %+v, want %+v", got, test.want)
				}
				test.want.Frames, test.want.AfterClose = 0, 0
			}
		})
	}
}

// In TestEndAfterFailedSend a write, not a read, returns the reset.
func TestEndAfterFailedSend(t *testing.T) {
	p := dial(t, wstest.Serve(t, func(p *wstest.Peer) { check(t, p.RST()) }), wstest.DialOptions{})
	for p.Send(wstest.PingFrame("")) == nil {
		time.Sleep(time.Millisecond)
	}
	if end, err := p.End(soon); err != nil || !end.RST || end.FIN {
		t.Errorf("got %v, %v, want RST", end, err)
	}
}

func TestEndTimeout(t *testing.T) {
	for _, test := range []struct {
		name   string
		server func(*wstest.Peer)
		want   wstest.End
	}{
		{"nothing", func(*wstest.Peer) {}, wstest.End{}},
		{"close frame without FIN", func(p *wstest.Peer) {
			check(t, p.Send(wstest.CloseFrame(1000, "")))
		}, wstest.End{Code: 1000, Frames: 1}},
		{"close_notify without FIN", func(p *wstest.Peer) {
			check(t, p.CloseNotify())
		}, wstest.End{CloseNotify: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			sent := make(chan bool)
			p := dial(t, wstest.ServeTLS(t, func(p *wstest.Peer) {
				test.server(p)
				close(sent)
				wstest.Silent(p)
			}), wstest.DialOptions{})
			<-sent
			got, err := p.End(100 * time.Millisecond)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want a timeout", err)
			}
			got.After = 0
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// TestRecvAfterTimeout stops inside the header and inside the payload.
func TestRecvAfterTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		client, server := wstest.Client(a), wstest.Server(b)
		defer client.Close()
		defer server.Close()
		client.Timeout = 2 * time.Second
		message := wstest.TextFrame("ab").WithKey([4]byte{1, 2, 3, 4}).Append(nil)
		go server.Drip(message, 3*time.Second) // 7 pauses
		timeouts := 0
		for {
			f, err := client.Recv()
			if err == nil {
				if string(f.Payload) != "ab" || !f.Masked || timeouts != 10 {
					t.Errorf("got %v after %d timeouts, want ab after 10", f, timeouts)
				}
				return
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			timeouts++
		}
	})
}

func TestRecvMessage(t *testing.T) {
	fragments := wstest.Fragments(wstest.Binary, "a", "b")
	for _, test := range []struct {
		frames []wstest.Frame
		want   string
	}{
		{[]wstest.Frame{wstest.TextFrame("x")}, `1 "x" <nil>`},
		{[]wstest.Frame{wstest.PingFrame("?"), fragments[0], wstest.PongFrame("!"), fragments[1]}, `2 "ab" <nil>`},
		{[]wstest.Frame{fragments[1]}, `0 "" continuation frame without a message`},
		{[]wstest.Frame{fragments[0], wstest.TextFrame("x")}, `0 "" frame with opcode 0x1 inside a message`},
		{[]wstest.Frame{fragments[0], wstest.CloseFrame(1001, "bye")}, `0 "" close frame 1001 "bye"`},
		{[]wstest.Frame{wstest.CloseFrame(0, "")}, `0 "" close frame 1005 ""`},
		{[]wstest.Frame{fragments[0]}, `0 "" unexpected EOF`},
		{nil, `0 "" EOF`},
	} {
		url := wstest.Serve(t, func(p *wstest.Peer) { check(t, p.Send(test.frames...)) })
		opcode, payload, err := dial(t, url, wstest.DialOptions{}).RecvMessage()
		if got := fmt.Sprintf("%d %q %v", opcode, payload, err); got != test.want {
			t.Errorf("%v: got %s, want %s", test.frames, got, test.want)
		}
	}
}

func TestAwait(t *testing.T) {
	url := wstest.Serve(t, func(p *wstest.Peer) {
		check(t, p.Send(wstest.TextFrame("x"), wstest.CloseFrame(4000, "why")))
	})
	p := dial(t, url, wstest.DialOptions{})
	code, reason, err := p.Await(soon)
	if err != nil || code != 4000 || reason != "why" {
		t.Errorf("got %d %q, %v, want 4000 why", code, reason, err)
	}
	if _, _, err := p.Await(soon); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want %v", err, io.EOF)
	}
	if end, err := p.End(soon); err != nil || end.Code != 4000 || end.Frames != 0 {
		t.Errorf("got %v, %v, want the close frame of before", end, err)
	}
}

// TestSendBounded writes to a peer that does not read, until the buffers of the kernel are
// full.
func TestSendBounded(t *testing.T) {
	p := dial(t, wstest.Serve(t, wstest.Silent), wstest.DialOptions{})
	p.Timeout = 50 * time.Millisecond
	if err := p.SendRaw(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a timeout", err)
	}
}

func TestUnsupported(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	p := wstest.Client(a)
	for _, f := range []func() error{p.CutTLS, p.CloseNotify, p.FIN, p.RST} {
		if err := f(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("got %v, want %v", err, errors.ErrUnsupported)
		}
	}
}

// TestServeCoder connects coder's client to Echo.
func TestServeCoder(t *testing.T) {
	for name, url := range map[string]string{
		"ws":  wstest.Serve(t, wstest.Echo),
		"wss": wstest.ServeTLS(t, wstest.Echo),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			client, done := httpClient()
			defer done()
			c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			check(t, c.Write(ctx, websocket.MessageText, []byte("hello")))
			if _, b, err := c.Read(ctx); err != nil || string(b) != "hello" {
				t.Errorf("got %q, %v, want hello", b, err)
			}
			ctx = c.CloseRead(ctx)
			check(t, c.Ping(ctx))
			check(t, c.Close(1000, "bye"))
		})
	}
}
