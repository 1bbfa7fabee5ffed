package deflate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// message compresses one message and removes its tail.
func message(t *testing.T, c *Compressor, w *bytes.Buffer, p []byte) []byte {
	t.Helper()
	w.Reset()
	c.Begin(w)
	for len(p) > 0 {
		n := min(len(p), 1000)
		c.Write(p[:n])
		p = p[n:]
	}
	c.End()
	out, ok := bytes.CutSuffix(w.Bytes(), []byte{0, 0, 0xff, 0xff})
	if !ok {
		t.Fatalf("the message ends with %x, want the end of a flush", w.Bytes()[max(0, w.Len()-8):])
	}
	return bytes.Clone(out)
}

// expand decompresses one message.
func expand(t *testing.T, d *Decompressor, src []byte) (all []byte) {
	t.Helper()
	d.Begin()
	for dst := make([]byte, 1000); ; {
		n, used, err := d.Inflate(dst, src)
		if err != nil {
			t.Fatal(err)
		}
		all, src = append(all, dst[:n]...), src[used:]
		if n < len(dst) {
			break
		}
	}
	if !d.End() {
		t.Error("a whole message counts as truncated")
	}
	return all
}

// TestCompressor compresses messages with all parameters and decompresses them with a
// window of the negotiated size.
func TestCompressor(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range []Params{
		{ClientTakeover: true, ServerTakeover: true, ServerBits: 15}, {ServerBits: 15}, {ServerBits: 14}, {ServerBits: 8},
	} {
		c := NewCompressor(p)
		d := Decompressor{Takeover: p.ServerTakeover}
		var w bytes.Buffer
		for name, text := range texts(rng) {
			compressed := message(t, &c, &w, text)
			d.Begin()
			z := d.z
			z.Limit = 1 << p.ServerBits // a reference from farther away is an error
			got := expand(t, &d, compressed)
			z.Limit = 0 // the pool has it again
			if !bytes.Equal(got, text) {
				t.Errorf("%+v, %s: got %d bytes, want %d", p, name, len(got), len(text))
			}
			if (c.z != nil) != p.ServerTakeover || (d.window != nil) != p.ServerTakeover || d.z != nil {
				t.Errorf("%+v, %s: between messages compressor %+v, decompressor %+v", p, name, c, d)
			}
		}
		c.Release()
		d.Release()
		if want := NewCompressor(p); c != want || d != (Decompressor{Takeover: p.ServerTakeover}) {
			t.Errorf("%+v: after Release compressor %+v, decompressor %+v", p, c, d)
		}
	}
	if n := contexts.Load(); n != 0 {
		t.Errorf("%d contexts are still counted", n)
	}
}

// TestMaxContexts reaches the limit of contexts. Beyond it each message is compressed on
// its own. A peer with context takeover can still decompress it.
func TestMaxContexts(t *testing.T) {
	contexts.Add(maxContexts - 1)
	defer contexts.Add(1 - maxContexts)
	text := []byte(strings.Repeat("whether 'tis nobler in the mind ", 20))
	for i, keeps := range []bool{true, false} {
		c := NewCompressor(Params{ServerTakeover: true, ServerBits: 15})
		defer c.Release()
		d := Decompressor{Takeover: true}
		var w bytes.Buffer
		var sizes [3]int
		for i := range sizes {
			compressed := message(t, &c, &w, text)
			sizes[i] = len(compressed)
			if got := expand(t, &d, compressed); !bytes.Equal(got, text) {
				t.Errorf("got %q, want %q", got, text)
			}
		}
		if c.counted != keeps || (sizes[1] < sizes[0]) != keeps {
			t.Errorf("compressor %d: keeps its context %v, sizes %v, want %v", i, c.counted, sizes, keeps)
		}
	}
}

// TestPays checks the sizes from which on messages are compressed.
func TestPays(t *testing.T) {
	for _, test := range []struct {
		takeover bool
		size     int64
		want     bool
	}{{true, 127, false}, {true, 128, true}, {false, 511, false}, {false, 512, true}} {
		c := Compressor{Takeover: test.takeover}
		if got := c.Pays(test.size); got != test.want {
			t.Errorf("takeover %v, %d bytes: got %v, want %v", test.takeover, test.size, got, test.want)
		}
	}
}

// TestMessage checks whole messages of a Compressor, with and without context takeover.
func TestMessage(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		var b bytes.Buffer
		c, d := Compressor{Takeover: takeover}, Decompressor{Takeover: takeover}
		for i := range 5 {
			text := strings.Repeat(fmt.Sprint("message ", i, " "), 1+i*9000)
			payload := message(t, &c, &b, []byte(text))
			if got, err := d.Message(payload, len(text)); err != nil || string(got) != text {
				t.Errorf("takeover %v, message %d: got %d bytes, %v, want %d", takeover, i, len(got), err, len(text))
			}
		}
		c.Release()
		d.Release()
	}
	text := []byte("\x4a\x4c\x4a\x06\x00") // abc
	for name, test := range map[string]struct {
		payload []byte
		limit   int
		want    string
	}{
		"too long":   {text, 2, "message over 2 bytes"},
		"incomplete": {text[:4], 10, "the compressed data is incomplete"},
		"nothing":    {nil, 10, "the compressed data is incomplete"},
		"corrupt":    {[]byte{0xff}, 10, string(ErrBlockType.Error())},
	} {
		if got, err := new(Decompressor).Message(test.payload, test.limit); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %q, %v, want %s", name, got, err, test.want)
		}
	}
}
