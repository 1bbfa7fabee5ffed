package fault_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// pack compresses a message without context takeover.
func pack(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, text)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// unpacked receives a message and decompresses it. begun is the payload of its first frame,
// which is compressed; nil: that was not received. unpacked returns the pongs before its end.
func unpacked(t *testing.T, p *wstest.Peer, begun []byte) (text string, packed bool, pongs []string) {
	t.Helper()
	all, packed := begun, begun != nil
	for first := begun == nil; ; {
		f, err := p.Recv()
		if err != nil {
			t.Fatalf("behind %d bytes of a message: %v", len(all), err)
		}
		if f.Opcode == wstest.Pong {
			pongs = append(pongs, string(f.Payload))
			continue
		}
		if first != (f.Opcode == wstest.Text) || f.Rsv != 0 && (!first || f.Rsv != wstest.RSV1) {
			t.Fatalf("got %v, the first of its message %v", f, first)
		}
		packed, first = packed || f.Rsv != 0, false
		if all = append(all, f.Payload...); f.Fin {
			break
		}
	}
	if packed {
		out, err := io.ReadAll(flate.NewReader(bytes.NewReader(append(all, "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...))))
		if err != nil {
			t.Fatal(err)
		}
		all = out
	}
	return string(all), packed, pongs
}

// TestSlowWriteBesidePieces: the server writes a compressed echo slowly. Meanwhile the client
// sends other messages in pieces, compressed and not, with pings between fragments. With
// delay the server reads them at that time. Each echo is whole and in order. The client's
// close frame comes in pieces too, and gets one answer.
func TestSlowWriteBesidePieces(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/?write=slow:20KiB/s", "/?write=slow:40KiB/s&fragment=50&mask=1", "/?delay=1ms&write=slow:20KiB/s"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			slowWriteBesidePieces(t, path)
		})
	}
}

func slowWriteBesidePieces(t *testing.T, path string) {
	s := serve(t, server.Options{Compression: websocket.CompressionNoContextTakeover, WriteBufferSize: 1 << 10, WriteTimeout: 2 * time.Second})
	p := s.dialWith(t, path, wstest.DialOptions{Timeout: soon,
		Extensions: "permessage-deflate; client_no_context_takeover; server_no_context_takeover"})
	if got := p.Response.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
		t.Fatalf("got the extension %q", got)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var long strings.Builder
	for long.Len() < 20_000 { // compresses to about a half
		fmt.Fprintf(&long, "%x ", rng.Uint64())
	}
	messages := []string{long.String(), strings.Repeat("to be or not to be ", 5000), "small", "packed, although it is small"}
	compressed := func(text string) wstest.Frame {
		return wstest.Frame{Fin: true, Rsv: wstest.RSV1, Opcode: wstest.Text, Payload: pack(t, text)}
	}
	send(t, p, compressed(messages[0]))
	first, err := p.Recv() // one frame of many
	if err != nil || first.Fin || first.Rsv != wstest.RSV1 {
		t.Fatalf("got %v, %v, want the beginning of a compressed message", first, err)
	}
	second := compressed(messages[1])
	parts := slices.Collect(slices.Chunk(second.Payload, len(second.Payload)/3+1))
	var b []byte
	for i, part := range parts {
		f := wstest.Frame{Fin: i == len(parts)-1, Masked: true, Key: [4]byte{1, 2, 3, 4}, Payload: part}
		if i == 0 {
			f.Rsv, f.Opcode = wstest.RSV1, wstest.Text
		}
		b = wstest.PingFrame(fmt.Sprint(i)).WithKey([4]byte{5, 6, 7, 8}).Append(f.Append(b))
	}
	b = wstest.TextFrame(messages[2]).WithKey([4]byte{}).Append(b)
	b = compressed(messages[3]).WithKey([4]byte{9, 8, 7, 6}).Append(b)
	closing := wstest.CloseFrame(4001, "bye").WithKey([4]byte{6, 7, 8, 9}).Append(nil)
	delayed := strings.Contains(path, "delay") // the close frame would discard the echoes
	if !delayed {
		b = append(b, closing...)
	}
	drip(t, p, b)
	var pongs []string
	for i, want := range messages {
		var begun []byte
		if i == 0 {
			begun = first.Payload
		}
		got, packed, p := unpacked(t, p, begun)
		if got != want || packed != (len(want) >= 512) {
			t.Errorf("message %d: got %.20q (%d bytes), compressed %v, want %.20q (%d bytes)", i, got, len(got), packed, want, len(want))
		}
		pongs = append(pongs, p...)
	}
	if want := []string{"0", "1", "2"}; !slices.Equal(pongs, want) {
		t.Errorf("got the pongs %q, want %q", pongs, want)
	}
	if delayed {
		drip(t, p, closing)
	}
	e, err := p.End(soon)
	_ = p.Close()
	if err != nil || e.Code != 4001 || e.Frames != 1 || e.Truncated || !e.FIN {
		t.Errorf("got %v, %v, want a close frame with 4001", e, err)
	}
	o := s.outcome(t)
	if o.Kind != ending.PeerCode || o.By != ending.Peer || o.Code != 4001 || o.Sent != 4001 || o.Received != 4001 || o.MessagesIn != 4 || o.MessagesOut != 4 {
		t.Errorf("got %+v", o)
	}
}

// drip sends b byte by byte.
func drip(t *testing.T, p *wstest.Peer, b []byte) {
	t.Helper()
	if err := p.Drip(b, 100*time.Microsecond); err != nil {
		t.Fatal(err)
	}
}
