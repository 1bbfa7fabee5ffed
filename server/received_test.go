package server_test

import (
	"strings"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestReceivedAfterRefusal: a peer that is refused answers the close frame. Its answer is
// in the Outcome, though nothing before it is parsed.
func TestReceivedAfterRefusal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		send []byte
		kind ending.Kind
		code websocket.StatusCode
	}{
		{"opcode", []byte("\x8f\x80\x00\x00\x00\x00"), ending.Protocol, 1002},
		{"not masked", []byte("\x81\x03abc"), ending.Protocol, 1002},
		{"not WebSocket", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ending.Protocol, 1002},
		{"UTF-8", wstest.TextFrame("\xff").WithKey([4]byte{1, 2, 3, 4}).Append(nil), ending.InvalidUTF8, 1007},
		{"size", wstest.TextFrame(strings.Repeat("x", 100_000)).WithKey([4]byte{1, 2, 3, 4}).Append(nil), ending.TooBig, 1009},
	} {
		for _, over := range []string{"tcp", "tls"} {
			t.Run(test.name+"/"+over, func(t *testing.T) {
				t.Parallel()
				start := serve
				if over == "tls" {
					start = serveTLS
				}
				s := start(t, echoes, server.Options{ReadLimit: 1000, CloseTimeout: server.MaxCloseTimeout})
				p := s.dial(t, wstest.DialOptions{})
				if err := p.SendRaw(test.send); err != nil {
					t.Fatal(err)
				}
				f, err := p.Recv()
				for err == nil && f.Opcode != wstest.Close {
					f, err = p.Recv()
				}
				if err != nil {
					t.Fatal(err)
				}
				code, reason := wstest.ParseClose(f.Payload)
				send(t, p, wstest.CloseFrame(code, reason))
				_ = p.Close()
				o := s.end(t)
				if wantKind(t, o, test.kind); o.Sent != test.code || o.Received != test.code {
					t.Errorf("sent %d and received %d, want %d", o.Sent, o.Received, test.code)
				}
			})
		}
	}
}
