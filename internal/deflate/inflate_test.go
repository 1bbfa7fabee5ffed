package deflate

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"example.com/wsecho/internal/testfull"
)

// squeeze compresses one message and removes its last four bytes.
func squeeze(tb testing.TB, level int, p []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		tb.Fatal(err)
	}
	_, _ = w.Write(p)
	_ = w.Flush()
	out, ok := bytes.CutSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
	if !ok {
		tb.Fatalf("the stream ends in %x", b.Bytes())
	}
	return out
}

// inflate decompresses src with z, in pieces of the given sizes. It fails the test unless z
// uses all input or returns an error.
func inflate(tb testing.TB, z *Inflater, src []byte, in, out func() int) (all []byte, err error) {
	tb.Helper()
	dst := make([]byte, 1<<16)
	for piece := 0; ; {
		into := dst[:min(max(1, out()), len(dst))]
		n, used, err := z.Inflate(into, src[:piece])
		all = append(all, into[:n]...)
		src = src[used:]
		piece -= used
		switch {
		case err != nil:
			if _, _, again := z.Inflate(dst, src); again != err {
				tb.Errorf("got %v, and then %v", err, again)
			}
			return all, err
		case n == len(into):
		case piece > 0:
			tb.Fatalf("%d bytes are neither used nor wrong", piece)
		case len(src) == 0:
			return all, nil
		default:
			piece = min(max(1, in()), len(src))
		}
	}
}

func constant(n int) func() int { return func() int { return n } }

// texts returns data of several kinds.
func texts(rng *rand.Rand) map[string][]byte {
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	few := make([]byte, 100_000)
	for i := range few {
		few[i] = "abcd\n"[rng.IntN(5)]
	}
	skewed := make([]byte, 300_000) // has codes of every length
	for i := range skewed {
		skewed[i] = byte(rng.ExpFloat64() * 12)
	}
	return map[string][]byte{
		"empty":  nil,
		"one":    {7},
		"hello":  []byte("Hello"),
		"zeros":  make([]byte, 1<<20),
		"words":  []byte(strings.Repeat("to be or not to be, that is the question ", 4000)),
		"noise":  noise,
		"few":    few,
		"skewed": skewed,
		"mixed":  bytes.Join([][]byte{few[:50_000], noise[:40_000], few, noise[:40_000]}, nil),
	}
}

func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, text := range texts(rng) {
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			if level > flate.BestSpeed && level < flate.BestCompression && !testfull.Enabled() {
				continue // these levels differ in how long they search
			}
			in := squeeze(t, level, text)
			for _, pieces := range []struct{ in, out func() int }{
				{constant(1 << 20), constant(1 << 20)}, {constant(1), constant(1 << 15)}, {constant(7), constant(1)},
				{func() int { return rng.IntN(3000) }, func() int { return rng.IntN(3000) }},
				{constant(1 << 20), constant(WindowSize)}, {constant(1 << 20), constant(WindowSize + 1)},
			} {
				var z Inflater
				z.Reset(new(Window))
				got, err := inflate(t, &z, in, pieces.in, pieces.out)
				if err != nil || !bytes.Equal(got, text) || !z.Whole() {
					t.Fatalf("%s at level %d: got %d bytes of %d, %v, whole %v", name, level, len(got), len(text), err, z.Whole())
				}
			}
		}
	}
}

// TestWhole cuts messages at every byte and checks that only the whole message is whole.
func TestWhole(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []byte
		also int // length of a part that is a whole message too; 0: none
	}{
		{"fixed", squeeze(t, 9, []byte("Hello")), 0},
		{"dynamic", squeeze(t, 9, []byte(strings.Repeat("to be or not to be, that is the question ", 20)+"whether 'tis nobler in the mind")), 0},
		{"stored", squeeze(t, 0, []byte("as it is, \x00\x00\x00\xff\xff or not")), 1},
		{"final", unhex("f348cdc9c9070000"), 0},
		{"blocks", unhex("f2480500 0000ffff cac9c90700"), 4},
		{"empty", []byte{0}, 0},
	} {
		name, in := test.name, test.in
		for n := range in {
			var z Inflater
			z.Reset(new(Window))
			_, err := inflate(t, &z, in[:n], constant(n), constant(1000))
			if err != nil {
				t.Errorf("%s cut at %d: %v", name, n, err)
			}
			if want := n > 0 && n == test.also; z.Whole() != want {
				t.Errorf("%s cut at %d: got whole %v, want %v", name, n, !want, want)
			}
		}
		var z Inflater
		z.Reset(new(Window))
		if _, err := inflate(t, &z, in, constant(3), constant(1000)); err != nil || !z.Whole() {
			t.Errorf("%s: got %v, whole %v", name, err, z.Whole())
		}
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// TestData checks the output and the error of single streams, and whether a message may
// end there.
func TestData(t *testing.T) {
	for _, test := range []struct {
		name, in, out string
		whole         bool
		err           error
	}{
		// RFC 7692, section 7.2.3.
		{"one block", "f248cdc9c90700", "Hello", true, nil},
		{"no compression", "000500faff48656c6c6f00", "Hello", true, nil},
		{"final block", "f348cdc9c9070000", "Hello", true, nil},
		{"two blocks", "f2480500 0000ffff cac9c90700", "Hello", true, nil},
		{"empty", "00", "", true, nil},
		{"nothing", "", "", false, nil},

		{"final block alone", "f348cdc9c90700", "Hello", false, nil},
		{"final stored block alone", "01 0000 ffff", "", false, nil},
		{"a final header at the end", "f348cdc9c90700 01", "Hello", true, nil},
		{"final blocks", "f348cdc9c90700 f348cdc9c90700 00", "HelloHello", true, nil},
		{"final blocks, flushed", "f348cdc9c90700 00 0000ffff f348cdc9c90700 00", "HelloHello", true, nil},
		{"behind a final block back to before it", "f348cdc9c90700 02130000", "HelloHello", true, nil},
		{"padding that is not zero", "f8", "", true, nil},
		{"stored block of the tail", "00 0400fbff 0000ffff", "\x00\x00\xff\xff", false, nil},
		{"stored block that waits", "00 0400fbff", "", false, nil},
		{"half the lengths", "00 0000", "", false, nil},
		{"lengths and no more", "00 0000ffff", "", false, nil},

		{"reserved type", "06", "", false, ErrBlockType},
		{"final of reserved type", "07", "", false, ErrBlockType},
		{"lengths differ", "00 00000000", "", false, ErrStoredLength},
		{"lengths differ in a bit", "00 0100feff 41 00 0100feef", "A", false, ErrStoredLength},
		{"287 symbols", "f40000", "", false, ErrTooManySymbols},
		{"31 distances", "04de", "", false, nil}, // three more bits are missing
		{"31 distances, all", "04de03", "", false, ErrTooManySymbols},
	} {
		var z Inflater
		z.Reset(new(Window))
		got, err := inflate(t, &z, unhex(test.in), constant(1), constant(1000))
		if string(got) != test.out || err != test.err || z.Whole() != test.whole {
			t.Errorf("%s: got %q, %v, whole %v, want %q, %v, %v", test.name, got, err, z.Whole(), test.out, test.err, test.whole)
		}
	}
}

// A bitWriter writes DEFLATE by hand.
type bitWriter struct {
	b []byte
	n uint
}

func (w *bitWriter) put(v, n uint) *bitWriter {
	for i := range n {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[len(w.b)-1] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
	return w
}

// dynamic begins a block with these code lengths. It writes each with a code of four bits
// for 0 to 15, or with an entry of more.
func dynamic(nlit, ndist uint, lens map[int]uint) *bitWriter {
	w := new(bitWriter)
	w.put(0, 1).put(2, 2).put(nlit-257, 5).put(ndist-1, 5).put(19-4, 4)
	for _, s := range lengthOrder {
		if s < 16 {
			w.put(4, 3)
		} else {
			w.put(0, 3)
		}
	}
	for i := range int(nlit + ndist) {
		v := lens[i]
		w.put(v>>3&1|v>>1&2|v<<1&4|v<<3&8, 4)
	}
	return w
}

// TestCodes checks which codes a block may have.
func TestCodes(t *testing.T) {
	const dist = 257 // the index of the first distance in the lengths below
	for _, test := range []struct {
		name string
		w    *bitWriter
		out  string
		err  error
	}{
		{"end alone", dynamic(257, 1, map[int]uint{256: 1}).put(0, 1), "", nil},
		{"end alone, the other bit", dynamic(257, 1, map[int]uint{256: 1}).put(1, 1), "", ErrSymbol},
		{"a and end", dynamic(257, 1, map[int]uint{'a': 1, 256: 1}).put(0, 1).put(0, 1).put(1, 1), "aa", nil},
		{"15 bits", dynamic(257, 1, map[int]uint{'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5, 'f': 6, 'g': 7, 'h': 8, 'i': 9, 'j': 10, 'k': 11, 'l': 12, 'm': 13, 'n': 14, 'o': 15, 256: 15}).
			put(1<<14-1, 15).put(1<<13-1, 14).put(0, 1).put(1<<15-1, 15), "ona", nil},
		{"no end", dynamic(257, 1, map[int]uint{'a': 1, 'b': 1}), "", ErrNoEnd},
		{"over-subscribed", dynamic(257, 1, map[int]uint{'a': 1, 'b': 1, 256: 1}), "", ErrOversubscribed},
		{"incomplete", dynamic(257, 1, map[int]uint{'a': 1, 256: 2}), "", ErrIncomplete},
		{"incomplete, single", dynamic(257, 1, map[int]uint{256: 2}), "", ErrIncomplete},
		{"distances over-subscribed", dynamic(257, 3, map[int]uint{256: 1, dist: 1, dist + 1: 1, dist + 2: 1}), "", ErrOversubscribed},
		{"distances incomplete", dynamic(257, 3, map[int]uint{256: 1, dist: 1, dist + 1: 2}), "", ErrIncomplete},
		{"one distance", dynamic(258, 1, map[int]uint{'a': 1, 256: 2, 257: 2, 258: 1}).put(0, 1).put(3, 2).put(0, 1).put(1, 2), "aaaa", nil},
		{"one distance, the other bit", dynamic(258, 1, map[int]uint{'a': 1, 256: 2, 257: 2, 258: 1}).put(0, 1).put(3, 2).put(1, 1), "a", ErrSymbol},
		{"no distance", dynamic(258, 1, map[int]uint{'a': 1, 256: 2, 257: 2}).put(0, 1).put(3, 2).put(0, 1), "a", ErrSymbol},
		{"too far", dynamic(258, 2, map[int]uint{'a': 1, 256: 2, 257: 2, 258: 1, 259: 1}).put(0, 1).put(3, 2).put(1, 1), "a", ErrDistance},
		{"fixed, 286", new(bitWriter).put(2, 3).put(0b01100011, 8), "", ErrSymbol}, // 11000110, from the highest bit
		{"fixed, distance 30", new(bitWriter).put(2, 3).put(0b10001100, 8).put(0b1000000, 7).put(0b01111, 5), "\x01", ErrSymbol},
		{"lengths incomplete", new(bitWriter).put(0, 1).put(2, 2).put(0, 5).put(0, 5).put(0, 4).put(1, 3).put(0, 9), "", ErrIncomplete},
		{"lengths over-subscribed", new(bitWriter).put(0, 1).put(2, 2).put(0, 5).put(0, 5).put(0, 4).put(0b001001001, 9).put(0, 3), "", ErrOversubscribed},
		{"no lengths", new(bitWriter).put(0, 1).put(2, 2).put(0, 5).put(0, 5).put(0, 4).put(0, 12), "", ErrIncomplete},
		{"repeat of nothing", new(bitWriter).put(0, 1).put(2, 2).put(0, 5).put(0, 5).put(0, 4).put(0b001001, 12).put(0, 1), "", ErrRepeat},
		{"repeat of too much", new(bitWriter).put(0, 1).put(2, 2).put(0, 5).put(0, 5).put(0, 4).put(0b001<<6, 9).put(0b001, 3).put(1, 1).put(127, 7).put(1, 1).put(127, 7), "", ErrRepeat},
	} {
		var z Inflater
		z.Reset(new(Window))
		got, err := inflate(t, &z, test.w.b, constant(1), constant(1000))
		if test.err != nil && err != test.err || test.err == nil && err != nil || string(got) != test.out {
			t.Errorf("%s: got %q, %v, want %q, %v", test.name, got, err, test.out, test.err)
		}
	}
}

// TestTakeover decompresses messages that refer back to earlier ones with one window, and
// checks that another window refuses them.
func TestTakeover(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	window, other := new(Window), new(Window)
	var z Inflater
	all := texts(rng)["mixed"]
	alone := 0
	for i := range 200 {
		n := rng.IntN(4000)
		if i%7 == 0 {
			n = 0
		}
		at := rng.IntN(len(all) - n)
		text := append([]byte(fmt.Sprintf("message %d: ", i)), all[at:at+n]...)
		b.Reset()
		_, _ = w.Write(text)
		_ = w.Flush()
		in := bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
		z.Reset(window)
		got, err := inflate(t, &z, in, constant(100), constant(1000))
		if err != nil || !bytes.Equal(got, text) || !z.Whole() {
			t.Fatalf("message %d: got %d bytes of %d, %v", i, len(got), len(text), err)
		}
		other.Reset() // its former content must not be found
		z.Reset(other)
		if _, err := inflate(t, &z, in, constant(100), constant(1000)); err == ErrDistance {
			alone++
		}
	}
	if alone < 100 {
		t.Errorf("%d messages refer back, want most", alone)
	}
}

// TestLimit checks that only references beyond a smaller window are refused.
func TestLimit(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for bits := 8; bits <= 15; bits++ {
		unit := make([]byte, 1<<bits)
		for i := range unit {
			unit[i] = byte(rng.Uint32())
		}
		for _, extra := range []int{0, 1} {
			// The second copy of the unit begins at this distance.
			text := append(append([]byte{}, unit...), make([]byte, extra)...)
			text = append(text, unit...)
			z := Inflater{Limit: 1 << bits}
			z.Reset(new(Window))
			_, err := inflate(t, &z, squeeze(t, 9, text), constant(1<<20), constant(1<<16))
			if want := extra == 1 && bits < 15; (err == ErrDistance) != want {
				t.Errorf("%d bits and %d: got %v, want refused %v", bits, extra, err, want)
			}
		}
	}
}

// TestBounded decompresses a bomb and checks that each call is bounded by its buffer.
func TestBounded(t *testing.T) {
	in := squeeze(t, 9, make([]byte, 64<<20))
	var z Inflater
	z.Reset(new(Window))
	dst := make([]byte, 1000)
	n, used, err := z.Inflate(dst, in)
	if n != len(dst) || err != nil || used > 200 {
		t.Errorf("got %d bytes of %d read, %v, want %d of few", n, used, err, len(dst))
	}
	if n, used, err := z.Inflate(nil, in); n != 0 || used != 0 || err != nil {
		t.Errorf("got %d, %d, %v for nothing", n, used, err)
	}
}

func TestNoAllocations(t *testing.T) {
	in := squeeze(t, 6, []byte(strings.Repeat("to be or not to be, that is the question ", 40)))
	var z Inflater
	var w Window
	dst := make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() {
		z.Reset(&w)
		if _, _, err := z.Inflate(dst, in); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// standard decompresses a message with compress/flate. It returns the output before the
// end or the error. The error is nil if the data only ends. It continues after a final
// block, as the Inflater does.
func standard(in []byte) (all []byte, err error) {
	for {
		r := bytes.NewReader(in)
		f := flate.NewReaderDict(r, all[max(0, len(all)-WindowSize):])
		got, err := io.ReadAll(f)
		all = append(all, got...)
		in = in[len(in)-r.Len():]
		switch {
		case err == nil && len(in) > 0:
		case err == nil, errors.Is(err, io.ErrUnexpectedEOF):
			return all, nil
		default:
			return all, err
		}
	}
}

// FuzzInflate decompresses any data, in pieces of any size, and compares the result with
// compress/flate. The Inflater refuses data that compress/flate refuses, now or with any
// continuation. It also refuses data that the package comment names. It accepts all other
// data. The output before is the same.
func FuzzInflate(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, text := range texts(rng) {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 6, 9} {
			f.Add(squeeze(f, level, text[:min(len(text), 3000)]), rng.Uint64())
		}
	}
	for _, s := range []string{"f348cdc9c9070000", "f248050000ffffcac9c90700", "06", "24002424", "0000000000", "04de03", "f400",
		"ecc031010000 00c220fba7b6c6315880", // ends with two bits, of which the second is no distance
	} {
		f.Add(unhex(s), uint64(1))
	}
	f.Add(dynamic(257, 1, map[int]uint{'a': 1, 256: 1}).put(4, 5).b, uint64(1))
	f.Add(dynamic(258, 1, map[int]uint{'a': 1, 256: 2, 257: 2, 258: 1}).put(0, 1).put(3, 2).put(0, 1).put(1, 2).b, uint64(1))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		if len(in) > 4<<10 {
			return
		}
		want, wantErr := standard(in)
		rng := rand.New(rand.NewPCG(seed, 0))
		most := 1 + int(seed%5000)
		var z Inflater
		z.Reset(new(Window))
		got, err := inflate(t, &z, in, func() int { return rng.IntN(most) }, func() int { return 1 + rng.IntN(most) })
		switch {
		case err == ErrNoEnd || err == ErrIncomplete:
			if !bytes.HasPrefix(want, got) {
				t.Errorf("got %d bytes that are not the first of %d", len(got), len(want))
			}
		case err != nil && wantErr == nil:
			// compress/flate looks at a symbol when it has as many bits as the end of the
			// block has. The data may end before, although the bits are already wrong.
			// Then they are wrong with any continuation, and there is no more output.
			for range 8 {
				more := binary.LittleEndian.AppendUint64(bytes.Clone(in), rng.Uint64())
				if all, wantErr := standard(more); wantErr == nil || !bytes.Equal(all, got) {
					t.Fatalf("got %v after %d bytes; with %x behind it compress/flate gives %d bytes, %v", err, len(got), more[len(in):], len(all), wantErr)
				}
			}
		case (err == nil) != (wantErr == nil):
			t.Errorf("got %v, want %v", err, wantErr)
		case err == nil && !bytes.HasPrefix(got, want), err != nil && !bytes.Equal(got, want):
			// If the data only ends, compress/flate may leave a few symbols unread.
			t.Errorf("got %d bytes, want %d; %v, %v", len(got), len(want), err, wantErr)
		}
		if !z.Whole() {
			return
		}
		// If the message is whole, the four bytes are an empty block. With a final block
		// after them, the stream is complete.
		tail := append(bytes.Clone(in), 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff)
		if all, err := standard(tail); err != nil || !bytes.Equal(all, got) {
			t.Errorf("whole, and yet with its tail it is %d bytes, %v, and not %d", len(all), err, len(got))
		}
	})
}

// BenchmarkInflate measures the Inflater. BenchmarkStandard does the same with
// compress/flate.
func BenchmarkInflate(b *testing.B) {
	var z Inflater
	var w Window
	bench(b, func(b *testing.B, in, dst []byte) {
		z.Reset(&w)
		for n := 0; n < len(dst); {
			made, used, err := z.Inflate(dst[n:], in)
			if err != nil || made == 0 {
				b.Fatal(made, err)
			}
			n += made
			in = in[used:]
		}
	})
}

// BenchmarkStandard measures compress/flate.
func BenchmarkStandard(b *testing.B) {
	r := bytes.NewReader(nil)
	f := flate.NewReader(r)
	bench(b, func(b *testing.B, in, dst []byte) {
		r.Reset(in)
		_ = f.(flate.Resetter).Reset(r, nil)
		if _, err := io.ReadFull(f, dst); err != nil {
			b.Fatal(err)
		}
	})
}

func bench(b *testing.B, do func(b *testing.B, in, dst []byte)) {
	rng := rand.New(rand.NewPCG(9, 10))
	var words bytes.Buffer
	for words.Len() < 128<<10 {
		fmt.Fprintf(&words, `{"id":%d,"name":"user%d","score":%.3f,"tags":["alpha","beta"]},`, rng.IntN(1e6), rng.IntN(1000), rng.Float64())
	}
	for _, size := range []int{100, 4 << 10, 128 << 10} {
		for _, kind := range []string{"json", "noise"} {
			text := words.Bytes()[:size]
			if kind == "noise" {
				text = texts(rng)["skewed"][:size]
			}
			in, dst := squeeze(b, flate.DefaultCompression, text), make([]byte, size)
			b.Run(fmt.Sprintf("%s-%d", kind, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					do(b, in, dst)
				}
			})
		}
	}
}
