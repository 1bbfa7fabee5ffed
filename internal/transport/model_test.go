package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// traffic is the input of a client, and the output of an echo server, byte by byte.
type traffic struct {
	in, out         []byte
	messages, bytes int64
	code            websocket.StatusCode
	reason          string
}

// sizes are the lengths at which the form of a length changes or a buffer ends.
var sizes = []int{0, 1, 2, 5, 125, 126, 127, 248, 250, 498, 511, 512, 513, 4096, 65535, 65536, 65537, 200_000}

// random returns traffic of at least least bytes.
func random(rng *rand.Rand, least int, large bool) traffic {
	var tr traffic
	payload := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	send := func(first byte, p []byte) {
		f := wstest.Frame{Fin: first&frame.Fin != 0, Opcode: first & 0xf, Masked: true, Payload: p}
		binary.LittleEndian.PutUint32(f.Key[:], rng.Uint32())
		tr.in = f.Append(tr.in)
	}
	answer := func(op byte, p []byte) {
		tr.out = wstest.Frame{Fin: true, Opcode: op, Payload: p}.Append(tr.out)
	}
	size := func() int {
		if rng.IntN(3) == 0 {
			return rng.IntN(40)
		}
		for {
			n := sizes[rng.IntN(len(sizes))]
			if n = max(0, n+rng.IntN(5)-2); n < 600 || large {
				return n
			}
		}
	}
	control := func() {
		for rng.IntN(4) == 0 {
			p := payload(rng.IntN(126))
			if rng.IntN(3) == 0 {
				send(frame.Fin|0xa, p) // an unsolicited pong
				continue
			}
			send(frame.Fin|frame.Ping, p)
			answer(0xa, p)
		}
	}
	for len(tr.in) < least {
		control()
		op := byte(frame.Text + rng.IntN(2))
		var whole []byte
		first := op
		for rng.IntN(3) == 0 {
			p := payload(size())
			send(first, p)
			first = frame.Continuation
			whole = append(whole, p...)
			control()
		}
		p := payload(size())
		send(frame.Fin|first, p)
		whole = append(whole, p...)
		answer(op, whole)
		tr.messages++
		tr.bytes += int64(len(whole))
	}
	var body []byte
	tr.code = websocket.StatusNoStatusRcvd
	if rng.IntN(3) > 0 {
		tr.code, tr.reason = 3000+websocket.StatusCode(rng.IntN(2000)), "done"
		body = wstest.CloseBody(uint16(tr.code), tr.reason)
	}
	send(frame.Fin|frame.Close, body)
	answer(frame.Close, body)
	return tr
}

// chunks splits b at random places into pieces of at most most bytes.
func chunks(rng *rand.Rand, b []byte, most int) [][]byte {
	var out [][]byte
	for len(b) > 0 {
		n := 1 + rng.IntN(most)
		if most == 256 && rng.IntN(2) == 0 {
			n = 256 // the first read of the plain path
		}
		n = min(n, len(b))
		out = append(out, b[:n])
		b = b[n:]
	}
	return out
}

// play sends traffic through an echo and compares the output and the counters.
func play(t *testing.T, rng *rand.Rand, kind string, tr traffic, most int, o Options) {
	t.Helper()
	server, client := over(t, kind)
	pieces := chunks(rng, tr.in, most)
	var first []byte
	if rng.IntN(2) == 0 {
		first, pieces = bytes.Clone(pieces[0]), pieces[1:]
	}
	c := New(server, first, o)
	c.out.trusted.Store(o.Flusher != nil)
	ws := accept(t, c)
	got := drained(client)
	pause := rng.IntN(4) == 0
	go func() {
		for i, p := range pieces {
			if pause && i%16 == 0 {
				time.Sleep(100 * time.Microsecond)
			}
			if _, err := client.Write(p); err != nil {
				return
			}
		}
	}()
	err := echo(ws)
	if end := ending.Of(err); end.Code != tr.code || end.Reason != tr.reason || end.By != ending.Peer {
		t.Errorf("got %v (%v), want close %d", end, err, tr.code)
	}
	if c.in.buf != nil && kind != "tcp" && len(c.in.incompleteFrame) > maxIncompleteFrame {
		t.Errorf("got %d bytes kept, want at most %d", len(c.in.incompleteFrame), maxIncompleteFrame)
	}
	_ = ws.CloseNow()
	c.Hangup()
	out := within(t, got)
	if !bytes.Equal(out, tr.out) {
		i := 0
		for i < min(len(out), len(tr.out)) && out[i] == tr.out[i] {
			i++
		}
		t.Errorf("got %d bytes, want %d; they differ at %d", len(out), len(tr.out), i)
	}
	in, echoed := c.Counts()
	if want := (frame.Counts{Messages: tr.messages, Bytes: tr.bytes}); in.Total() != want || echoed != in {
		t.Errorf("got counts %+v and %+v, want %+v each way", in, echoed, want)
	}
	if code, reason := c.PeerClose(); code != tr.code || reason != tr.reason || !c.CloseSent() {
		t.Errorf("got peer's close %d %q, ours sent %v, want %d %q, true", code, reason, c.CloseSent(), tr.code, tr.reason)
	}
	if c.in.buf != nil || c.out.buf != nil {
		t.Error("a buffer was not released")
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, kind := range kinds {
		for _, hold := range []bool{false, true} {
			for _, test := range []struct {
				name         string
				rounds, most int
				least        int
				large        bool
			}{
				{"byte by byte", 2, 1, 2000, false},
				{"few bytes", 4, 20, 5000, false},
				{"hundreds", 4, 256, 20_000, false},
				{"large", 4, 100_000, 1 << 20, true},
				{"at once", 4, 1 << 30, 20_000, false},
			} {
				t.Run(fmt.Sprintf("%s/hold=%v/%s", kind, hold, test.name), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(seed, uint64(test.most)))
					for range test.rounds {
						o := Options{
							Read:           NewPool(512 + rng.IntN(2)*rng.IntN(20_000)),
							Write:          NewPool(512 + rng.IntN(2)*rng.IntN(20_000)),
							ReadLimit:      -1 + int64(rng.IntN(2))<<30,
							MessageTimeout: time.Duration(rng.IntN(2)) * time.Hour,
							WriteTimeout:   time.Duration(rng.IntN(2)) * time.Hour,
						}
						if hold {
							o.Flusher = new(Flusher)
						}
						play(t, rng, kind, random(rng, test.least, test.large), test.most, o)
					}
				})
			}
		}
	}
}

func FuzzChunks(f *testing.F) {
	for i := range 6 {
		f.Add(uint64(i), uint16(1<<(3*i)), uint16(100*i), i%2 == 0, byte(i))
	}
	f.Fuzz(func(t *testing.T, seed uint64, most, size uint16, hold bool, kind byte) {
		rng := rand.New(rand.NewPCG(seed, 0))
		o := options()
		o.Read, o.Write = NewPool(int(size)), NewPool(int(size))
		if hold {
			o.Flusher = new(Flusher)
		}
		// The model test covers TLS, whose handshake needs most of the time.
		play(t, rng, kinds[kind%2], random(rng, 3000, seed%8 == 0), max(1, int(most)), o)
	})
}

// verdict is the result of a stream.
type verdict struct {
	kind     ending.Kind
	code     websocket.StatusCode
	messages string
}

func judge(t *testing.T, kind string, stream []byte, most int, o Options) (v verdict) {
	t.Helper()
	server, client := over(t, kind)
	rng := rand.New(rand.NewPCG(1, uint64(most)))
	c := New(server, nil, o)
	ws := accept(t, c)
	go io.Copy(io.Discard, client)
	go func() {
		for _, p := range chunks(rng, stream, most) {
			if _, err := client.Write(p); err != nil {
				return
			}
		}
		if half, ok := client.(*net.TCPConn); ok {
			half.CloseWrite()
		} else {
			client.Close()
		}
	}()
	start := time.Now()
	for {
		p, err := message(ws)
		if err != nil {
			end := ending.Of(err)
			v.kind, v.code = end.Kind, end.Code
			break
		}
		v.messages += fmt.Sprintf("%d:%x ", len(p), p[:min(len(p), 32)])
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	_ = ws.CloseNow()
	c.Abort()
	c.Hangup()
	return v
}

// FuzzStream checks that any input has a documented ending. The ending does not depend on
// how the stream is split and read.
func FuzzStream(f *testing.F) {
	for _, b := range [][]byte{
		text("hello"), cat(masked(frame.Text, []byte("a")), masked(frame.Fin|9, nil), masked(frame.Fin, []byte("b"))),
		closing(1000, "bye"), closing(1000, "\xff"), closing(1005, ""), cat(closing(1001, ""), text("x")),
		falseHeader(frame.Fin|frame.Text, 1<<63, 64), falseHeader(frame.Fin|frame.Text, 1001, 16), falseHeader(frame.Fin|9, 126, 16), {0x81, 0x00}, {0xff},
		bytes.Repeat(masked(frame.Continuation, nil), 2000), text(string(make([]byte, 1000))), text("hello")[:8],
		append(masked(frame.Text, nil), bytes.Repeat(masked(frame.Continuation, nil), 2000)...),
	} {
		f.Add(b, false)
	}
	z := newDeflatePeer(true, 6)
	zip := func(p string) []byte { return masked(frame.Fin|frame.Text|frame.RSV1, z.pack([]byte(p))) }
	for _, b := range [][]byte{
		cat(zip("to be or not to be"), zip("or not to be to"), text("plain"), zip(""), closing(1000, "")),
		zip(string(make([]byte, 2000))), cat(zip("a")[:8], zip("b")), masked(frame.Fin|frame.Binary|frame.RSV1, nil),
		masked(frame.Fin|frame.Binary|frame.RSV1, []byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0}), masked(frame.Fin|frame.Binary|frame.RSV1, []byte{6}),
		cat(masked(frame.Binary|frame.RSV1, []byte{0xf2, 0x48, 5}), masked(frame.Fin|9, nil), masked(frame.Fin, []byte{0, 0, 0, 0xff, 0xff, 0xca, 0xc9, 0xc9, 7, 0})),
		cat(masked(frame.Binary|frame.RSV1, bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 300)), masked(frame.Fin, make([]byte, 1000))),
	} {
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, compressed bool) {
		o := options()
		if compressed {
			o.Deflate = &deflate.Params{ClientTakeover: true, ServerTakeover: true, ServerBits: 15}
		}
		o.ReadLimit = 1000
		o.MessageTimeout, o.WriteTimeout = 5*time.Second, 5*time.Second
		want := judge(t, "tcp", b, 1<<20, o)
		switch want.kind {
		case ending.Normal, ending.GoingAway, ending.PeerCode, ending.Abnormal,
			ending.Protocol, ending.InvalidUTF8, ending.TooBig, ending.Flood:
		default:
			t.Errorf("got kind %v", want.kind)
		}
		for _, most := range []int{1, 300} {
			if len(b) > 10_000 {
				most *= 100
			}
			if got := judge(t, "pipe", b, most, o); got != want {
				t.Errorf("in pieces of %d: got %v, want %v as whole", most, got, want)
			}
		}
	})
}
