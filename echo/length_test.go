package echo

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/ending"
)

// TestLongest: a message of the longest length is read, with a known length and
// without. A longer one is refused.
func TestLongest(t *testing.T) {
	for _, tt := range []struct{ limit, longest, want int64 }{
		{24 << 20, 16 << 20, 16 << 20},
		{16 << 20, 16 << 20, 16 << 20},
		{1 << 20, 16 << 20, 1 << 20},
		{24 << 20, 0, 16 << 20},
		{24 << 20, -1, 16 << 20},
		{100_000, 70_001, 70_001},
		{200_000, 10_000, freeSize},
		{1, 0, freeSize},
		{30 << 20, 20_000_001, 20_000_001}, // larger than maxJump
		{1 << 60, 1 << 20, 1 << 20},
	} {
		b := newBudget(t, tt.limit, tt.longest, 0)
		m := message{budget: b}
		for _, size := range []int64{-1, tt.want} {
			if p, err := m.read(t.Context(), announced{numbered(tt.want), size}); err != nil || !isNumbered(p, tt.want) {
				t.Errorf("%+v, size %d: got %d bytes, %v", tt, size, len(p), err)
			}
			m.release()
		}
		for _, size := range []int64{-1, tt.want + 1} {
			p, err := m.read(t.Context(), announced{numbered(tt.want + 1), size})
			if end := ending.Of(err); end.Kind != ending.NoMemory || !strings.Contains(end.Reason, "as long as this") {
				t.Errorf("%+v, size %d, one byte more: got %d bytes, %v", tt, size, len(p), err)
			}
			m.release()
		}
		b.checkFree(t, tt.limit)
	}
}

// TestMaxLongest: the longest message fits into a slice, also on a 32-bit machine. The
// length of its buffer does not overflow.
func TestMaxLongest(t *testing.T) {
	for _, longest := range []int64{3 << 30, math.MaxInt64, 0} {
		b := newBudget(t, math.MaxInt64, longest, 0)
		n := b.longest
		if n > math.MaxInt || n > longest && longest > 0 || n < 1<<30 {
			t.Errorf("%d: the longest message has %d bytes", longest, n)
		}
		if size := b.sizeFor(n); size != n {
			t.Errorf("%d: a buffer of %d bytes for a message of %d", longest, size, n)
		}
	}
}

// TestAcquired: a message of known length acquires all its memory at once. One of unknown
// length acquires memory as it grows.
func TestAcquired(t *testing.T) {
	const limit, longest = 64 << 20, 40 << 20
	for _, tt := range []struct {
		length, size        int64
		inside, half, whole int64 // acquired when 16 KiB and a byte, half and all have been read
		buffer              int64 // its length at half
	}{
		{freeSize, freeSize, 0, 0, 0, freeSize},
		{freeSize, -1, 0, 0, 0, freeSize},
		{1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20},
		{1<<20 + 1, 1<<20 + 1, 2 << 20, 2 << 20, 2 << 20, 2 << 20},
		{1 << 20, -1, 64 << 10, 1 << 20, 1 << 20, 1 << 20},
		{32 << 20, 32 << 20, 32 << 20, 32 << 20, 32 << 20, 16 << 20}, // less than was announced
		{longest, -1, 64 << 10, longest, longest, longest},
	} {
		b := newBudget(t, limit, longest, 0)
		m := message{budget: b}
		var inside, half, buffer, n int64
		r := numbered(tt.length)
		p, err := m.read(t.Context(), announced{readFunc(func(p []byte) (int, error) {
			if n > freeSize && inside == 0 {
				inside = b.Used()
			}
			if n >= tt.length/2 && buffer == 0 {
				half, buffer = b.Used(), int64(len(*m.buffer))
			}
			got, err := r.Read(p[:min(len(p), 8<<10)])
			n += int64(got)
			return got, err
		}), tt.size})
		if err != nil || !isNumbered(p, tt.length) {
			t.Errorf("%+v: got %d bytes, %v", tt, len(p), err)
		}
		if whole := b.Used(); inside != tt.inside || half != tt.half || whole != tt.whole || buffer != tt.buffer {
			t.Errorf("%+v: got %d, %d and %d bytes, and a buffer of %d", tt, inside, half, whole, buffer)
		}
		m.release()
		b.checkFree(t, limit)
	}
}

// TestWrongSize: a message that is longer than its reader's Size grows like one of unknown
// length.
func TestWrongSize(t *testing.T) {
	for _, size := range []int64{100, 100_000} {
		b := newBudget(t, 1<<20, 1<<20, 0)
		m := message{budget: b}
		if p, err := m.read(t.Context(), announced{numbered(200_000), size}); err != nil || !isNumbered(p, 200_000) {
			t.Errorf("size %d: got %d bytes, %v", size, len(p), err)
		}
		if n := b.Used(); n < 200_000 {
			t.Errorf("size %d: %d bytes are acquired for 200,000", size, n)
		}
		m.release()
		b.checkFree(t, 1<<20)
	}
}

// TestGrowingDoesNotWait: a message that has memory does not wait for more, and neither
// does one of unknown length.
func TestGrowingDoesNotWait(t *testing.T) {
	for _, size := range []int64{-1, 100_000} { // 128 KiB, which are too few
		b := newBudget(t, 128<<10, 1<<20, time.Hour)
		b.longest = 1 << 20
		m := message{budget: b}
		if p, err := m.read(t.Context(), announced{numbered(200_000), size}); ending.Of(err).Kind != ending.NoMemory {
			t.Errorf("size %d: got %d bytes, %v, want no memory", size, len(p), err)
		}
		m.release()
		b.checkFree(t, 128<<10)
	}
}

// TestBuffersAreReused: the next message of the same size class gets the buffer of the
// last one. A pool may lose a buffer, so many messages may pass.
func TestBuffersAreReused(t *testing.T) {
	b := newBudget(t, 24<<20, 16<<20, 0)
	for _, n := range []int64{freeSize, 1 << 20, 16 << 20} {
		seen := make(map[*[]byte]bool)
		for range 100 {
			p := b.buffer(b.sizeFor(n))
			if int64(len(*p)) != n {
				t.Fatalf("got a buffer of %d bytes, want %d", len(*p), n)
			}
			b.recycle(p)
			if seen[p] {
				seen = nil
				break
			}
			seen[p] = true
		}
		if seen != nil {
			t.Errorf("100 buffers of %d bytes were not reused", n)
		}
	}
}

// numbered returns a reader of n bytes. Each byte shows its place.
func numbered(n int64) io.Reader {
	at := 0
	return io.LimitReader(readFunc(func(p []byte) (int, error) {
		n := copy(p, places[at:])
		at = (at + n) % len(places)
		return n, nil
	}), n)
}

func isNumbered(p []byte, n int64) bool {
	for ; len(p) > len(places); n -= int64(len(places)) {
		if !bytes.Equal(p[:len(places)], places) {
			return false
		}
		p = p[len(places):]
	}
	return int64(len(p)) == n && bytes.Equal(p, places[:n])
}

// places has a length that no buffer's length is a multiple of.
var places = func() []byte {
	p := make([]byte, 65_521)
	for i := range p {
		p[i] = byte(i % 251)
	}
	return p
}()
