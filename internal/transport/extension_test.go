package transport

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// deflatePeer is the peer's half of permessage-deflate.
type deflatePeer struct {
	keep bool
	b    bytes.Buffer
	w    *flate.Writer
}

func newDeflatePeer(keep bool, level int) *deflatePeer {
	z := &deflatePeer{keep: keep}
	z.w, _ = flate.NewWriter(&z.b, level)
	return z
}

// pack compresses a message.
func (z *deflatePeer) pack(p []byte) []byte {
	z.b.Reset()
	if !z.keep {
		z.w.Reset(&z.b)
	}
	_, _ = z.w.Write(p)
	_ = z.w.Flush()
	return bytes.Clone(bytes.TrimSuffix(z.b.Bytes(), tail))
}

// unpack returns the frames of b with each message in one frame, decompressed. It uses
// compress/flate.
func unpack(b []byte, keep bool) (out []byte, err error) {
	var message, all []byte
	var first wstest.Frame
	for len(b) > 0 {
		var f wstest.Frame
		if f, b, err = wstest.Decode(b); err != nil {
			return out, err
		}
		if f.Opcode >= frame.Close {
			out = f.Append(out)
			continue
		}
		if f.Opcode != frame.Continuation {
			first, message = f, nil
		} else if f.Rsv != 0 {
			return out, fmt.Errorf("got %v", f)
		}
		message = append(message, f.Payload...)
		if !f.Fin {
			continue
		}
		if first.Rsv == wstest.RSV1 {
			if !keep {
				all = nil
			}
			z := flate.NewReaderDict(bytes.NewReader(append(message, "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)), all)
			if message, err = io.ReadAll(z); err != nil {
				return out, err
			}
			all = append(all, message...)
			all = all[max(0, len(all)-1<<15):]
		}
		out = wstest.Frame{Fin: true, Opcode: first.Opcode, Payload: message}.Append(out)
	}
	return out, nil
}

// TestDeflateModel sends random traffic through an echo. Some messages are compressed, in
// any number of fragments and blocks.
func TestDeflateModel(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, kind := range kinds {
		for _, keep := range []bool{false, true} {
			for _, most := range []int{1, 20, 256, 1 << 30} {
				t.Run(fmt.Sprintf("%s/keep=%v/%d", kind, keep, most), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(seed, uint64(most)))
					for range 2 {
						playDeflated(t, rng, kind, keep, most)
					}
				})
			}
		}
	}
}

// FuzzDeflateChunks does the same with choices of the fuzzer.
func FuzzDeflateChunks(f *testing.F) {
	for i := range 6 {
		f.Add(uint64(i), uint16(1<<(3*i)), i%2 == 0, byte(i))
	}
	f.Fuzz(func(t *testing.T, seed uint64, most uint16, keep bool, kind byte) {
		playDeflated(t, rand.New(rand.NewPCG(seed, 0)), kinds[kind%2], keep, max(1, int(most)))
	})
}

func playDeflated(t *testing.T, rng *rand.Rand, kind string, keep bool, most int) {
	t.Helper()
	z := newDeflatePeer(keep, rng.IntN(11)-1)
	var in, want []byte
	var messages, wire int64
	least := 3000
	if most > 1000 {
		least = 100_000
	}
	send := func(first byte, p []byte) {
		f := wstest.Frame{Fin: first&frame.Fin != 0, Rsv: first >> 4 & 7, Opcode: first & 0xf, Masked: true, Payload: p}
		binary.LittleEndian.PutUint32(f.Key[:], rng.Uint32())
		in = f.Append(in)
	}
	for len(in) < least {
		p := make([]byte, sizes[rng.IntN(len(sizes))])
		if len(p) > least {
			p = p[:rng.IntN(1000)]
		}
		bound := 1 + rng.IntN(256)
		for i := range p {
			p[i] = byte(rng.IntN(bound))
		}
		op := byte(frame.Text + rng.IntN(2))
		want = wstest.Frame{Fin: true, Opcode: op, Payload: p}.Append(want)
		first := op
		if rng.IntN(4) > 0 {
			p = z.pack(p)
			first |= frame.RSV1
		}
		messages++
		wire += int64(len(p))
		for rng.IntN(2) == 0 {
			n := rng.IntN(len(p) + 1)
			send(first, p[:n])
			p = p[n:]
			first = frame.Continuation
			if rng.IntN(2) == 0 {
				send(frame.Fin|0xa, nil)
			}
		}
		send(frame.Fin|first, p)
	}
	send(frame.Fin|frame.Close, nil)
	want = wstest.Frame{Fin: true, Opcode: frame.Close}.Append(want)

	server, client := over(t, kind)
	o := options()
	o.Read, o.Write = NewPool(512<<rng.IntN(8)), NewPool(512<<rng.IntN(8))
	if rng.IntN(2) == 0 {
		o.Flusher = new(Flusher)
	}
	o.ReadLimit = []int64{-1, 200_010}[rng.IntN(2)]
	o.Deflate = &deflate.Params{ClientTakeover: keep, ServerTakeover: keep, ServerBits: 15}
	if !keep {
		o.Deflate.ServerBits = 8 + rng.IntN(8)
	}
	c := New(server, nil, o)
	c.out.trusted.Store(o.Flusher != nil)
	ws := accept(t, c)
	got := drained(client)
	pieces := chunks(rng, in, most)
	go func() {
		for _, p := range pieces {
			if _, err := client.Write(p); err != nil {
				return
			}
		}
	}()
	if end := ending.Of(echo(ws)); end.Code != websocket.StatusNoStatusRcvd || end.By != ending.Peer {
		t.Errorf("got %v: %v", end, end.Cause)
	}
	_ = ws.CloseNow()
	c.Hangup()
	out, err := unpack(within(t, got), keep)
	if err != nil || !bytes.Equal(out, want) {
		t.Errorf("got %d bytes, %v, want %d", len(out), err, len(want))
	}
	if code, _ := c.OurClose(); code != websocket.StatusNoStatusRcvd {
		t.Errorf("got %d sent, want %d", code, websocket.StatusNoStatusRcvd)
	}
	if in, out := c.Counts(); in.Total() != (frame.Counts{Messages: messages, Bytes: wire}) || out.Total().Messages != messages {
		t.Errorf("got %+v, %+v answered, want %d messages of %d bytes", in, out, messages, wire)
	}
	checkReleased(t, c)
}

// checkReleased checks that a connection that has ended has no memory for compression.
func checkReleased(t *testing.T, c *Conn) {
	t.Helper()
	x := c.ext
	if c.in.buf != nil || c.out.buf != nil || x.in.out != nil || hasMemory(&x.in.Decompressor) || x.out.buf != nil || hasContext(&x.out.Compressor) {
		t.Errorf("memory was not released: %+v", x)
	}
}

// hasMemory reports whether a decompressor has not released all its memory.
func hasMemory(d *deflate.Decompressor) bool { return *d != deflate.Decompressor{Takeover: d.Takeover} }

// hasContext reports whether a compressor has not released all its memory.
func hasContext(c *deflate.Compressor) bool {
	return *c != deflate.Compressor{Takeover: c.Takeover, Window: c.Window}
}

// TestDeflateParts reads a compressed message in parts. While a part is buffered the
// message is not complete, and a wait for input returns at once.
func TestDeflateParts(t *testing.T) {
	server, client := over(t, "tcp")
	o := options()
	o.Deflate = &deflate.Params{ServerBits: 15}
	// The zeros do not fit in one buffer.
	c := New(server, masked(frame.Fin|frame.Binary|frame.RSV1, newDeflatePeer(false, 6).pack(make([]byte, 2000))), o)
	var all []byte
	for p := make([]byte, 100); len(all) == 0 || c.Whole() < 0; {
		waited := make(chan struct{})
		go func() { c.Wait(); close(waited) }()
		within(t, waited)
		n, err := c.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p[:n]...)
	}
	if got, want := frames(t, all), "2:"+string(make([]byte, 2000)); got != want || c.Whole() != 2000 {
		t.Errorf("got %d bytes and whole %d, want %d", len(got), c.Whole(), 2000)
	}
	client.Close()
	c.Hangup()
	checkReleased(t, c)
}

// TestDeflateLimit checks that decompression stops at the read limit.
func TestDeflateLimit(t *testing.T) {
	o := options()
	o.Deflate, o.ReadLimit = &deflate.Params{ServerBits: 15}, 100
	c := source(t, masked(frame.Fin|frame.Binary|frame.RSV1, newDeflatePeer(false, 6).pack(make([]byte, 1<<20))), o, false)
	all, err := io.ReadAll(c)
	if kindOf(err) != ending.TooBig || len(all) > 0 || c.ext.in.size != 101 {
		t.Errorf("got %d bytes, %v, %d inflated, want %d", len(all), err, c.ext.in.size, 101)
	}
	c.Hangup()
	checkReleased(t, c)
}

// TestDeflateIdle checks that between messages a connection keeps only the memory for
// context takeover.
func TestDeflateIdle(t *testing.T) {
	for _, keep := range []bool{false, true} {
		server, client := over(t, "tcp")
		o := options()
		o.Deflate = &deflate.Params{ClientTakeover: keep, ServerTakeover: keep, ServerBits: 15}
		c := New(server, nil, o)
		ws := accept(t, c)
		z := newDeflatePeer(keep, 6)
		p := wstest.Client(client)
		p.Timeout = 20 * time.Second
		text := []byte(strings.Repeat("to be or not ", 50))
		for range 3 {
			if err := p.Send(wstest.BinaryFrame(z.pack(text)).WithRsv(wstest.RSV1)); err != nil {
				t.Fatal(err)
			}
			got, err := message(ws)
			if err != nil || !bytes.Equal(got, text) {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
			if err := ws.Write(t.Context(), websocket.MessageBinary, got); err != nil {
				t.Fatal(err)
			}
			if f, err := p.Recv(); err != nil || f.Rsv != wstest.RSV1 || !f.Fin {
				t.Fatalf("got %v, %v", f, err)
			}
			x := c.ext
			if x.in.out != nil || x.out.buf != nil || hasMemory(&x.in.Decompressor) != keep || hasContext(&x.out.Compressor) != keep {
				t.Errorf("keep %v: got %+v", keep, x)
			}
		}
		_ = client.Close()
		_ = ws.CloseNow()
		c.Hangup()
		checkReleased(t, c)
	}
}

// TestDeflatePark checks that a parked connection has no compressor. Its next message
// refers to nothing before, and is decompressed correctly.
func TestDeflatePark(t *testing.T) {
	server, client := over(t, "tcp")
	o := options()
	o.Deflate = &deflate.Params{ClientTakeover: true, ServerTakeover: true, ServerBits: 15}
	c := New(server, nil, o)
	ws := accept(t, c)
	if !c.CanPark() {
		t.Skip("this system reports no readiness")
	}
	text := []byte(strings.Repeat("a sea of troubles ", 20))
	var size [3]int64
	for i := range size {
		if i == 2 {
			if !c.Park() {
				t.Fatal("it is not idle")
			}
			if c.ReadingSince().IsZero() {
				t.Error("a parked connection does not wait for input")
			}
			c.out.mu.Lock()
			if hasContext(&c.ext.out.Compressor) {
				t.Error("it is parked with a compressor")
			}
			c.out.mu.Unlock()
		}
		_, before := c.Counts()
		if err := ws.Write(t.Context(), websocket.MessageText, text); err != nil {
			t.Fatal(err)
		}
		_, after := c.Counts()
		size[i] = after.Total().Bytes - before.Total().Bytes
	}
	if size[1] >= size[0] || size[2] != size[0] {
		t.Errorf("got sizes %v", size)
	}
	got := drained(client)
	_ = ws.CloseNow()
	c.Hangup()
	checkReleased(t, c)
	out, err := unpack(within(t, got), true)
	if err != nil || !bytes.Equal(out, bytes.Repeat(wstest.TextFrame(string(text)).Append(nil), 3)) {
		t.Errorf("got %d bytes, %v", len(out), err)
	}
}

// TestDeflateAbandoned ends connections in the middle of messages, reads and writes.
func TestDeflateAbandoned(t *testing.T) {
	t.Parallel()
	z := newDeflatePeer(false, 6)
	message := masked(frame.Fin|frame.Binary|frame.RSV1, z.pack(make([]byte, 1<<20)))
	for cut := range len(message) + 1 {
		if cut > 100 && cut%50 != 0 {
			continue
		}
		server, client := over(t, "tcp")
		o := options()
		o.Deflate = &deflate.Params{ClientTakeover: true, ServerTakeover: true, ServerBits: 15}
		c := New(server, nil, o)
		ws := accept(t, c)
		if _, err := client.Write(message[:cut]); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, r, err := ws.Reader(t.Context())
			if err == nil {
				_, _ = io.ReadFull(r, make([]byte, 100*cut))
			}
		})
		wg.Go(func() { // the peer does not read
			for ws.Write(t.Context(), websocket.MessageBinary, make([]byte, 1<<20)) == nil {
			}
		})
		if cut%2 == 0 {
			_ = client.(*net.TCPConn).SetLinger(0)
		}
		_ = client.Close()
		c.Abort()
		_ = ws.CloseNow()
		c.Hangup()
		wg.Wait()
		c.out.mu.Lock()
		if hasContext(&c.ext.out.Compressor) {
			t.Errorf("cut at %d: the compressor is not released", cut)
		}
		c.out.mu.Unlock()
		if c.in.mu.TryLock() {
			checkReleased(t, c)
			c.in.mu.Unlock()
		}
	}
}

// TestDeflateFragmentBatch writes a fragment of which the compressor keeps all data, while
// replies are batched. There is nothing to send when the Flusher, or the end of the
// connection, sends the batch.
func TestDeflateFragmentBatch(t *testing.T) {
	for _, ends := range []bool{false, true} {
		server, client := over(t, "tcp")
		o := options()
		o.Deflate = &deflate.Params{ServerBits: 15}
		c := trusted(server, nil, o, true)
		ws := accept(t, c)
		got := drained(client)
		c.in.hasInput.Store(true)
		w, err := ws.Writer(t.Context(), websocket.MessageBinary)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 8<<10)); err != nil {
			t.Fatal(err)
		}
		if c.out.batching() {
			t.Error("nothing is buffered, and that counts as a batch")
		}
		want := ""
		if !ends {
			c.out.flushLate(c.opts.Flusher)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			want = "2:" + string(make([]byte, 8<<10))
		}
		_ = ws.CloseNow()
		c.Hangup()
		out, err := unpack(within(t, got), false)
		if err != nil || frames(t, out) != want {
			t.Errorf("ends %v: got %d bytes, %v, want %d", ends, len(out), err, len(want))
		}
		checkReleased(t, c)
	}
}

// BenchmarkDeflate echoes compressed messages.
func BenchmarkDeflate(b *testing.B) {
	for _, keep := range []bool{false, true} {
		for _, size := range []int{1 << 10, 4 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("keep=%v/%d", keep, size), func(b *testing.B) {
				server, client := over(b, "tcp")
				o := options()
				o.Read, o.Write = NewPool(64<<10), NewPool(64<<10)
				o.Deflate = &deflate.Params{ClientTakeover: keep, ServerTakeover: keep, ServerBits: 15}
				c := New(server, nil, o)
				ws := accept(b, c)
				done := make(chan error, 1)
				go func() { done <- echo(ws) }()
				rng := rand.New(rand.NewPCG(1, 2))
				text := make([]byte, 0, size+20)
				for len(text) < size {
					text = fmt.Appendf(text, `{"id":%d,"up":true},`, rng.IntN(1e6))
				}
				in := masked(frame.Fin|frame.Text|frame.RSV1, newDeflatePeer(false, 6).pack(text[:size]))
				p := wstest.Client(client)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := client.Write(in); err != nil {
						b.Fatal(err)
					}
					if _, err := p.Recv(); err != nil {
						b.Fatal(err)
					}
				}
				_ = client.Close()
				<-done
				_ = ws.CloseNow()
				c.Hangup()
			})
		}
	}
}

// TestRefusedBomb checks that a connection that is refused does not decompress its buffered
// input, which would give much output.
func TestRefusedBomb(t *testing.T) {
	server, client := over(t, "tcp")
	o := options()
	o.Deflate = &deflate.Params{ServerBits: 15}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(make([]byte, 1<<20))
	_ = w.Flush()
	c := New(server, masked(frame.Fin|frame.RSV1|frame.Binary, bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})), o)
	if _, err := c.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	c.CloseBy(time.Now().Add(time.Minute))
	why := &ending.Error{Kind: ending.NoMemory}
	c.Fail(why)
	n, err := io.Copy(io.Discard, c)
	if n > int64(decompressed.size) || !errors.Is(err, why) {
		t.Errorf("got %d bytes more and %v, want no more than a buffer", n, err)
	}
	client.Close()
	_ = c.Close()
	c.Hangup()
}
