package server_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/wstest"
)

// A deflatePeer is a client that uses the negotiated permessage-deflate.
type deflatePeer struct {
	*wstest.Peer
	s              *testServer
	clientTakeover bool // its messages refer to earlier ones
	w              *flate.Writer
	b              bytes.Buffer
	z              deflate.Inflater
	window         deflate.Window
	serverTakeover bool // the server's messages may refer to earlier ones
}

// modes lists the two modes with compression.
var modes = map[string]websocket.CompressionMode{
	"takeover":    websocket.CompressionContextTakeover,
	"no takeover": websocket.CompressionNoContextTakeover,
}

// dialDeflate connects with an offer. The client checks that the server respects the windows in
// the answer.
func (s *testServer) dialDeflate(tb testing.TB, offer string) *deflatePeer {
	tb.Helper()
	p := s.dial(tb, wstest.DialOptions{Extensions: offer})
	p.Timeout = soon
	answer := p.Response.Header.Get("Sec-WebSocket-Extensions")
	c := &deflatePeer{Peer: p, s: s,
		clientTakeover: !strings.Contains(answer, "client_no_context_takeover"),
		serverTakeover: !strings.Contains(answer, "server_no_context_takeover"),
	}
	if _, bits, ok := strings.Cut(answer, "server_max_window_bits="); ok {
		var n int
		if _, err := fmt.Sscan(bits, &n); err != nil {
			tb.Fatal(err)
		}
		c.z.Limit = 1 << n
	}
	if !strings.HasPrefix(answer, "permessage-deflate") {
		tb.Fatalf("got the answer %q to %q", answer, offer)
	}
	c.w, _ = flate.NewWriter(&c.b, flate.DefaultCompression)
	return c
}

// pack returns the compressed message.
func (c *deflatePeer) pack(text string) string {
	c.b.Reset()
	if !c.clientTakeover {
		c.w.Reset(&c.b)
	}
	_, _ = c.w.Write([]byte(text))
	_ = c.w.Flush()
	return strings.TrimSuffix(c.b.String(), "\x00\x00\xff\xff")
}

// packed returns the first frame of a compressed message.
func packed(opcode byte, payload string) wstest.Frame {
	return wstest.Frame{Fin: true, Opcode: opcode, Rsv: wstest.RSV1, Payload: []byte(payload)}
}

// recv returns the next message, decompressed and as received. It skips pongs.
func (c *deflatePeer) recv(tb testing.TB) (opcode byte, text string, compressed bool, wire int) {
	tb.Helper()
	var all []byte
	for first := true; ; {
		f, err := c.Recv()
		if err != nil {
			tb.Fatal(err)
		}
		if f.Opcode == wstest.Pong {
			continue
		}
		if first != (f.Opcode == wstest.Text || f.Opcode == wstest.Binary) || f.Rsv != 0 && (!first || f.Rsv != wstest.RSV1) {
			tb.Fatalf("got %v, the message's first %v", f, first)
		}
		if first {
			opcode, compressed = f.Opcode, f.Rsv != 0
			first = false
		}
		all = append(all, f.Payload...)
		if f.Fin {
			break
		}
	}
	if !compressed {
		return opcode, string(all), false, len(all)
	}
	if !c.serverTakeover {
		c.window.Reset()
	}
	c.z.Reset(&c.window)
	var out []byte
	dst := make([]byte, 1<<16)
	for in, n := all, len(dst); n == len(dst); {
		var used int
		var err error
		if n, used, err = c.z.Inflate(dst, in); err != nil {
			tb.Fatal(err)
		}
		in = in[used:]
		out = append(out, dst[:n]...)
	}
	if !c.z.Whole() {
		tb.Fatalf("a compressed message that is not whole: %x", all)
	}
	return opcode, string(out), true, len(all)
}

// echo sends a message in fragments, with pings in between, and reads the echo.
func (c *deflatePeer) echo(tb testing.TB, opcode byte, text string, parts ...string) {
	tb.Helper()
	frames := wstest.Fragments(opcode, parts...)
	frames[0].Rsv = wstest.RSV1
	for i, f := range frames {
		if i > 0 {
			send(tb, c.Peer, wstest.PingFrame("between"))
		}
		send(tb, c.Peer, f)
	}
	c.receive(tb, opcode, text)
}

func (c *deflatePeer) receive(tb testing.TB, opcode byte, text string) {
	tb.Helper()
	op, got, compressed, wire := c.recv(tb)
	if op != opcode || got != text {
		tb.Fatalf("got opcode %d, %.60q (%d bytes), want opcode %d, %.60q (%d bytes)", op, got, len(got), opcode, text, len(text))
	}
	least := 512
	if c.serverTakeover {
		least = 128
	}
	if compressed != (len(text) >= least) {
		tb.Errorf("got compressed %v (%d bytes) for %d bytes", compressed, wire, len(text))
	}
}
