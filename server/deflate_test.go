package server_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// forms returns compressed messages in every legal form: those of RFC 7692, section
// 7.2.3, and more.
var forms = []struct{ name, payload, text string }{
	{"one block", "f248cdc9c90700", "Hello"},
	{"no compression", "000500faff48656c6c6f00", "Hello"},
	{"a final block", "f348cdc9c9070000", "Hello"},
	{"two blocks", "f24805000000ffffcac9c90700", "Hello"},
	{"two final blocks", "f348cdc9c90700f348cdc9c9070000", "HelloHello"},
	{"a final block, a flush, a final block", "f348cdc9c907000000 00ffff f348cdc9c9070000", "HelloHello"},
	{"a final block, and back to before it", "f348cdc9c9070002130000", "HelloHello"},
	{"a final block without compression", "010500faff48656c6c6f00", "Hello"},
	{"empty", "00", ""},
	{"empty, padded otherwise", "f8", ""},
	{"empty final block", "01 0000ffff 00", ""},
	{"final at the end", "f348cdc9c9070001", "Hello"},
	{"many empty blocks", strings.Repeat("000000ffff", 5) + "f248cdc9c90700", "Hello"},
	{"data like the tail", "000400fbff0000ffff00", "\x00\x00\xff\xff"},
}

// TestDeflateForms sends every form of a compressed message twice, whole and cut at
// every byte, and then an uncompressed message.
func TestDeflateForms(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		s := serve(t, echoes, server.Options{Compression: mode, PingInterval: -1})
		for _, form := range forms {
			t.Run(name+"/"+form.name, func(t *testing.T) {
				c := s.dialDeflate(t, "permessage-deflate")
				payload := unhex(form.payload)
				for n := range len(payload) + 1 {
					c.echo(t, wstest.Binary, form.text, payload[:n], payload[n:])
				}
				c.echo(t, wstest.Binary, form.text, strings.Split(payload, "")...)
				c.echo(t, wstest.Binary, form.text, "", payload, "")
				send(t, c.Peer, wstest.TextFrame("plain"), packed(wstest.Binary, payload), wstest.TextFrame("plain"))
				c.receive(t, wstest.Text, "plain")
				c.receive(t, wstest.Binary, form.text)
				c.receive(t, wstest.Text, "plain")
				send(t, c.Peer, wstest.CloseFrame(1000, ""))
				finish(t, c.Peer, 1000)
			})
		}
	}
}

func unhex(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestDeflateBroken sends complete frames with incomplete compressed data. The server
// echoes nothing and closes with 1007.
func TestDeflateBroken(t *testing.T) {
	t.Parallel()
	broken := map[string]string{
		"nothing at all":             "",
		"reserved block":             "06",
		"lengths that differ":        "0005000000",
		"too far back":               "02130000",
		"final block alone":          "f348cdc9c90700",
		"not deflate":                "ffffff",
		"tail that was not removed":  "f248cdc9c907000000ffff",
		"stored block for the tail":  "000400fbff",
		"stored block for more":      "f248cdc9c90700 0900f6ff",
		"stored block, a byte short": "000500faff48656c6c",
		"data behind a whole one":    "f248cdc9c90700 0000ffff 06",
	}
	for name, mode := range modes {
		s := serve(t, echoes, server.Options{Compression: mode, PingInterval: -1})
		try := func(what, payload string, cut int) {
			c := s.dialDeflate(t, "permessage-deflate")
			frames := wstest.Fragments(wstest.Binary, payload[:cut], payload[cut:])
			frames[0].Rsv = wstest.RSV1
			send(t, c.Peer, frames...)
			if e := finish(t, c.Peer, 1007); e.Frames != 1 {
				t.Errorf("%s, %s: got %v, want the close frame alone", name, what, e)
			}
			_ = c.Close()
			if o := s.end(t); o.Kind != ending.Protocol || o.Code != 1007 || o.MessagesOut != 0 || !strings.HasPrefix(o.Reason, "compressed data ") {
				t.Errorf("%s, %s: got %v, %d, %q, %d messages out", name, what, o.Kind, o.Code, o.Reason, o.MessagesOut)
			}
		}
		for what, payload := range broken {
			try(what, unhex(payload), 0)
			try(what, unhex(payload), len(payload)/4)
		}
		// Truncated at every byte.
		for what, payload := range map[string]string{
			"dynamic": string(deflated(t, strings.Repeat("to be or not to be ", 3)+"whether 'tis nobler in the mind to suffer")),
			"fixed":   unhex("f348cdc9c9070000"),
		} {
			for n := range payload {
				try(fmt.Sprintf("%s cut at %d", what, n), payload[:n], n/2)
			}
		}
	}
}

// TestDeflateCut ends the stream inside a compressed message, at every byte.
func TestDeflateCut(t *testing.T) {
	t.Parallel()
	payload := unhex("f248050000 00ffff cac9c90700")
	wire := packed(wstest.Binary, payload[:5]).Open().WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	wire = wstest.Frame{Fin: true, Masked: true, Key: [4]byte{5}, Payload: []byte(payload[5:])}.Append(wire)
	for _, mode := range modes {
		s := serve(t, echoes, server.Options{Compression: mode, PingInterval: -1})
		for n := range wire {
			c := s.dialDeflate(t, "permessage-deflate")
			_ = c.SendRaw(wire[:n])
			_ = c.FIN()
			if e, err := c.End(soon); err != nil || e.Frames != 0 || !e.FIN {
				t.Errorf("cut at %d: got %v, %v", n, e, err)
			}
			_ = c.Close()
			o := s.end(t)
			wantKind(t, o, ending.Abnormal)
			if o.MessagesIn != 0 || o.MessagesOut != 0 {
				t.Errorf("cut at %d: got %d messages in, %d out", n, o.MessagesIn, o.MessagesOut)
			}
		}
		c := s.dialDeflate(t, "permessage-deflate")
		_ = c.SendRaw(wire)
		c.receive(t, wstest.Binary, "Hello")
	}
}

// TestDeflateTraffic echoes messages of many sizes, compressed and uncompressed, with
// every possible answer. It checks that the server respects the answer.
func TestDeflateTraffic(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	offers := []string{"permessage-deflate", "permessage-deflate; client_no_context_takeover", "permessage-deflate; server_no_context_takeover"}
	for bits := 8; bits <= 15; bits++ {
		offers = append(offers, fmt.Sprintf("permessage-deflate; server_max_window_bits=%d", bits))
	}
	for name, mode := range modes {
		for i, offer := range offers {
			if mode == websocket.CompressionNoContextTakeover && i > 0 && i%4 != 2 {
				continue // almost the same as the others
			}
			t.Run(name+"/"+offer, func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(seed, 0))
				s := serve(t, echoes, server.Options{Compression: mode, PingInterval: -1,
					ReadBufferSize: 512 << rng.IntN(8), WriteBufferSize: 512 << rng.IntN(8)})
				c := s.dialDeflate(t, offer)
				sizes := []int{0, 1, 127, 128, 129, 511, 512, 513, 4095, 4096, 4097, 32767, 32768, 32769, 100_000}
				wire, size := 0, 0
				const messages = 20
				for i := range messages {
					n := sizes[rng.IntN(len(sizes))]
					if i < len(sizes) {
						n = sizes[i]
					}
					text := prose(rng, n)
					opcode := byte(wstest.Text)
					if rng.IntN(4) == 0 {
						b := []byte(text)
						for i := range b {
							b[i] = byte(rng.Uint32()) // incompressible
						}
						text, opcode = string(b), wstest.Binary
					}
					f := wstest.Frame{Fin: true, Opcode: opcode, Payload: []byte(text)}
					if rng.IntN(5) > 0 {
						f = packed(opcode, c.pack(text))
					}
					sent := make(chan error, 1)
					go func() { sent <- c.Send(f) }()
					op, got, compressed, n := c.recv(t)
					if op != opcode || got != text || compressed != (len(text) >= map[bool]int{true: 128, false: 512}[c.serverTakeover]) {
						t.Fatalf("message %d: got opcode %d, %d bytes, compressed %v; want %d, %d bytes", i, op, len(got), compressed, opcode, len(text))
					}
					if err := <-sent; err != nil {
						t.Fatal(err)
					}
					if compressed && opcode == wstest.Text {
						wire, size = wire+n, size+len(text)
					}
				}
				if wire > size*3/4 && c.z.Limit != 1<<8 || wire > size*9/10 {
					t.Errorf("%d bytes became %d", size, wire)
				}
				send(t, c.Peer, wstest.CloseFrame(1000, ""))
				finish(t, c.Peer, 1000)
				if o := s.end(t); o.MessagesIn != messages || o.MessagesOut != messages {
					t.Errorf("got %d messages in, %d out", o.MessagesIn, o.MessagesOut)
				}
			})
		}
	}
}

// prose returns a text of n bytes that repeats at short and long distances.
func prose(rng *rand.Rand, n int) string {
	words := strings.Fields("to be or not to be that is the question whether nobler in the mind to suffer the slings and arrows of outrageous fortune")
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[rng.IntN(len(words))])
		b.WriteByte(' ')
		if rng.IntN(8) == 0 {
			fmt.Fprint(&b, rng.IntN(1000), " ")
		}
	}
	return b.String()[:n]
}

// TestDeflateTakeoverPays repeats a message. Only with context takeover the second echo
// is small on the wire.
func TestDeflateTakeoverPays(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		s := serve(t, echoes, server.Options{Compression: mode, PingInterval: -1})
		c := s.dialDeflate(t, "permessage-deflate")
		text := prose(rand.New(rand.NewPCG(1, 1)), 2000)
		var wire [2]int
		for i := range wire {
			send(t, c.Peer, packed(wstest.Text, c.pack(text)))
			_, got, _, n := c.recv(t)
			if got != text {
				t.Fatalf("%s: got %d bytes", name, len(got))
			}
			wire[i] = n
		}
		if small := wire[1] < wire[0]/4; small != (mode == websocket.CompressionContextTakeover) {
			t.Errorf("%s: got %d and then %d bytes on the wire", name, wire[0], wire[1])
		}
	}
}

// TestDeflateBomb sends messages that decompress to more than the read limit. The
// server closes with 1009 and decompresses little over the limit.
func TestDeflateBomb(t *testing.T) {
	t.Parallel()
	mebibyte := string(deflated(t, strings.Repeat("\x00", 1<<20)))
	bomb := strings.Repeat(mebibyte+"\x00\x00\xff\xff", 63) + mebibyte
	if len(bomb) > 70_000 {
		t.Fatalf("it is %d bytes", len(bomb))
	}
	for name, mode := range modes {
		limits := []int{1000, 1 << 20}
		if mode == websocket.CompressionNoContextTakeover {
			limits = append(limits, 8<<20)
		}
		for _, limit := range limits {
			read := 0
			s := serve(t, func(ctx context.Context, c *server.Conn) error {
				_, r, err := c.Reader(ctx)
				for err == nil {
					var n int
					n, err = r.Read(make([]byte, 1<<16))
					read += n
				}
				return err
			}, server.Options{Compression: mode, PingInterval: -1, ReadLimit: int64(limit)})
			for _, frames := range [][]wstest.Frame{
				{packed(wstest.Binary, bomb)},
				{packed(wstest.Binary, bomb[:100]).Open(), {Payload: []byte(bomb[100:])}},
			} {
				read = 0
				c := s.dialDeflate(t, "permessage-deflate")
				go func() { _ = c.Send(frames...) }()
				finish(t, c.Peer, 1009)
				_ = c.Close()
				o := s.end(t)
				wantKind(t, o, ending.TooBig)
				if read > limit {
					t.Errorf("%s: got %d bytes of a message, the limit is %d", name, read, limit)
				}
			}
		}
		// At the limit, and one byte over it.
		s := serve(t, echoes, server.Options{Compression: mode, PingInterval: -1, ReadLimit: 1000})
		c := s.dialDeflate(t, "permessage-deflate")
		send(t, c.Peer, packed(wstest.Binary, c.pack(strings.Repeat("x", 1000))))
		c.receive(t, wstest.Binary, strings.Repeat("x", 1000))
		send(t, c.Peer, packed(wstest.Binary, c.pack(strings.Repeat("x", 1001))))
		finish(t, c.Peer, 1009)
		// Endless data that decompresses to nothing.
		c = s.dialDeflate(t, "permessage-deflate")
		go func() {
			f := packed(wstest.Binary, "").Open()
			for c.Send(f) == nil {
				f = wstest.Frame{Payload: []byte(strings.Repeat("\x00\x00\x00\xff\xff", 20))}
			}
		}()
		finish(t, c.Peer, 1009)
	}
}

// TestDeflateUTF8: the server refuses an invalid byte before the message is complete.
// It accepts a rune that is cut between compressed frames.
func TestDeflateUTF8(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		s := serve(t, echoes, server.Options{Compression: mode, PingInterval: -1})
		c := s.dialDeflate(t, "permessage-deflate")
		euro := unhex("000100feff e2") + unhex("000200fdff 82ac") + "\x00"
		for n := range len(euro) {
			c.echo(t, wstest.Text, "\u20ac", euro[:n], euro[n:])
		}
		send(t, c.Peer, packed(wstest.Text, unhex("000200fdff e228")).Open()) // and nothing more
		finish(t, c.Peer, 1007)
		_ = c.Close()
		wantKind(t, s.end(t), ending.InvalidUTF8)
		c = s.dialDeflate(t, "permessage-deflate")
		send(t, c.Peer, packed(wstest.Text, unhex("000100feff e2")+"\x00"))
		finish(t, c.Peer, 1007)
		_ = c.Close()
		wantKind(t, s.end(t), ending.InvalidUTF8)
	}
}

// TestDeflateClose: either side closes inside a compressed message.
func TestDeflateClose(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		for range 5 {
			s := serve(t, func(ctx context.Context, c *server.Conn) error {
				_, r, err := c.Reader(ctx)
				if err != nil {
					return err
				}
				if _, err := r.Read(make([]byte, 2)); err != nil {
					return err
				}
				_ = c.Close(4001, "enough")
				return nil
			}, server.Options{Compression: mode, PingInterval: -1})
			c := s.dialDeflate(t, "permessage-deflate")
			send(t, c.Peer, packed(wstest.Binary, unhex("000500faff48656c6c")).Open(), wstest.CloseFrame(4000, "done"))
			e := finish(t, c.Peer, 4001)
			_ = c.Close()
			if o := s.end(t); o.Kind != ending.Closed || e.Frames != 1 {
				t.Errorf("got %v, cause %v, the peer %v", o.Kind, o.Cause, e)
			}
			s = serve(t, readAll, server.Options{Compression: mode, PingInterval: -1})
			c = s.dialDeflate(t, "permessage-deflate")
			send(t, c.Peer, packed(wstest.Binary, unhex("000500faff48656c6c")).Open(), wstest.CloseFrame(4000, "done"))
			finish(t, c.Peer, 4000)
			_ = c.Close()
			wantKind(t, s.end(t), ending.PeerCode)
		}
	}
}

// TestDeflateWriter writes a compressed message in pieces.
func TestDeflateWriter(t *testing.T) {
	t.Parallel()
	pieces := []string{strings.Repeat("a piece that is long enough, ", 40), "", "short", strings.Repeat("another ", 30_000)}
	for _, mode := range modes {
		s := serve(t, func(ctx context.Context, c *server.Conn) error {
			for _, skip := range []int{0, 2} { // coder does not compress a message that begins with a small write
				w, err := c.Writer(ctx, websocket.MessageText)
				if err != nil {
					return err
				}
				for _, p := range pieces[skip:] {
					if _, err := w.Write([]byte(p)); err != nil {
						return err
					}
				}
				if err := w.Close(); err != nil {
					return err
				}
			}
			return readAll(ctx, c)
		}, server.Options{Compression: mode, PingInterval: -1, WriteBufferSize: 1000})
		c := s.dialDeflate(t, "permessage-deflate")
		send(t, c.Peer, wstest.PingFrame("a"))
		for i, want := range []string{strings.Join(pieces, ""), strings.Join(pieces[2:], "")} {
			if _, got, compressed, _ := c.recv(t); got != want || compressed != (i == 0) {
				t.Errorf("got %d bytes, compressed %v, want %d", len(got), compressed, len(want))
			}
		}
		send(t, c.Peer, wstest.CloseFrame(1000, ""))
		finish(t, c.Peer, 1000)
		if o := s.end(t); o.MessagesOut != 2 {
			t.Errorf("got %d messages out, want 2", o.MessagesOut)
		}
	}
}
