package echo

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestRegion takes and gives back parts at random. No two overlap, each is where its
// size asks for, one is refused only where there is no room for it, and in the end all
// is one again.
func TestRegion(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for order := range 7 {
		r := newRegion(order)
		taken := make([]bool, 1<<order)
		type part struct{ at, order int }
		var parts []part
		room := func(order int) bool {
		places:
			for at := 0; at < len(taken); at += 1 << order {
				for _, is := range taken[at : at+1<<order] {
					if is {
						continue places
					}
				}
				return true
			}
			return false
		}
		give := func(i int) {
			p := parts[i]
			parts[i] = parts[len(parts)-1]
			parts = parts[:len(parts)-1]
			clear(taken[p.at : p.at+1<<p.order])
			r.give(p.at, p.order)
		}
		for range 2000 {
			if len(parts) > 0 && random.IntN(2) == 0 {
				give(random.IntN(len(parts)))
				continue
			}
			want := random.IntN(order + 2) // one of them is more than there is
			at, ok := r.take(want)
			if can := want <= order && room(want); ok != can {
				t.Fatalf("order %d of %d: got %v, want %v", want, order, ok, can)
			}
			if !ok {
				continue
			}
			if at%(1<<want) != 0 || at < 0 || at+1<<want > len(taken) {
				t.Fatalf("order %d of %d: at %d", want, order, at)
			}
			for i := range 1 << want {
				if taken[at+i] {
					t.Fatalf("order %d of %d: unit %d is taken twice", want, order, at+i)
				}
				taken[at+i] = true
			}
			parts = append(parts, part{at, want})
		}
		for len(parts) > 0 {
			give(0)
		}
		if !r.whole() {
			t.Errorf("order %d: all is given back, and it is not whole", order)
		}
	}
}

// TestRegionBytes: parts do not share memory, and one cannot be made longer.
func TestRegionBytes(t *testing.T) {
	r := newRegion(3)
	seen := map[*byte]bool{}
	for order := range 3 {
		at, ok := r.take(order)
		if !ok {
			t.Fatal("there is no room")
		}
		b := r.bytes(at, order)
		if len(b) != unit<<order || cap(b) != len(b) {
			t.Errorf("order %d: %d bytes, %d with what is behind them", order, len(b), cap(b))
		}
		for i := 0; i < len(b); i += unit {
			if seen[&b[i]] {
				t.Errorf("order %d: its memory is somebody's", order)
			}
			seen[&b[i]] = true
		}
	}
}
