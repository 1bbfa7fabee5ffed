package echo

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"

	"example.com/wsecho/ending"
)

// TestLongest: how long a message may be, exactly, and what is refused at once.
func TestLongest(t *testing.T) {
	for _, tt := range []struct{ limit, longest, want int64 }{
		{24 << 20, 16 << 20, 16 << 20},
		{16 << 20, 16 << 20, 16 << 20},
		{1 << 20, 16 << 20, 1 << 20},
		{24 << 20, 0, 16 << 20},
		{24 << 20, -1, 16 << 20},
		{100_000, 70_001, 70_001},
		{200_000, 10_000, firstSize},
		{1, 0, firstSize},
		{30 << 20, 20_000_001, 20_000_001}, // a reserve that is made in steps
		{1 << 60, 1 << 20, 1 << 20},
	} {
		b, err := NewBudget(tt.limit, tt.longest, 0)
		if err != nil {
			t.Fatal(err)
		}
		m := message{budget: b}
		if p, err := m.read(t.Context(), numbered(tt.want)); err != nil || !isNumbered(p, tt.want) {
			t.Errorf("%+v: got %d bytes, %v", tt, len(p), err)
		}
		m.release()
		p, err := m.read(t.Context(), numbered(tt.want+1))
		if end := ending.Of(err); end.Kind != ending.NoMemory || !strings.Contains(end.Reason, "as long as this") {
			t.Errorf("%+v: one byte more: got %d bytes, %v", tt, len(p), err)
		}
		m.release()
		b.check(t, 0)
	}
}

// TestLongestEver: a reserve never asks for a slice longer than one can be, which on a
// 32-bit machine is less than a limit may be.
func TestLongestEver(t *testing.T) {
	for _, longest := range []int64{3 << 30, math.MaxInt64, 0} {
		b, err := NewBudget(math.MaxInt64, longest, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n := b.reserve.size; n > math.MaxInt || n > longest && longest > 0 || n < 1<<30 {
			t.Errorf("%d: a reserve of %d bytes", longest, n)
		}
		if b.reserve.size+b.left != math.MaxInt64 {
			t.Errorf("%d: %d and %d bytes are not the limit", longest, b.reserve.size, b.left)
		}
	}
}

// numbered reads bytes that tell where they are.
func numbered(n int64) io.Reader {
	at := 0
	return io.LimitReader(readFunc(func(p []byte) (int, error) {
		n := copy(p, place[at:])
		at = (at + n) % len(place)
		return n, nil
	}), n)
}

func isNumbered(p []byte, n int64) bool {
	for ; len(p) > len(place); n -= int64(len(place)) {
		if !bytes.Equal(p[:len(place)], place) {
			return false
		}
		p = p[len(place):]
	}
	return int64(len(p)) == n && bytes.Equal(p, place[:n])
}

// place is of a length that no size is a multiple of.
var place = func() []byte {
	p := make([]byte, 65_521)
	for i := range p {
		p[i] = byte(i % 251)
	}
	return p
}()
