package echo

import (
	"math/bits"
	"sync"
)

// A region is memory that is handed out in parts of a power of two of units, and taken
// back: a buddy system. A message that grows leaves parts behind that others can have,
// where buffers of many sizes would be garbage. It makes its memory when it is wanted
// first, and again after it was dropped.
type region struct {
	order int  // of all of it: it is 1<<order units
	used  bool // since used was last cleared
	has   bool // memory, or who has taken a part is going to make it

	making sync.Mutex // of mem; those that have a part wait for it
	mem    []byte

	// free is a binary tree, its root at 1 and the halves of i at 2i and 2i+1. It has
	// one more than the order of the largest part that can be had there, 0 for none.
	free []uint8
}

// unit is the smallest part.
const unit = 4 * firstSize

func newRegion(order int) *region {
	r := &region{order: order, free: make([]uint8, 2<<order)}
	for i := range r.free[1:] {
		r.free[1+i] = uint8(2 + order - bits.Len(uint(1+i)))
	}
	return r
}

func (r *region) size() int64 { return unit << r.order }

// whole reports whether no part of it is taken.
func (r *region) whole() bool { return int(r.free[1]) == 1+r.order }

// take takes a part of 1<<order units. It returns where it is, in units, and false if
// there is none.
func (r *region) take(order int) (at int, ok bool) {
	want := uint8(1 + order)
	if r.free[1] < want {
		return 0, false
	}
	i := 1
	for range r.order - order {
		i *= 2
		if r.free[i] < want || r.free[i+1] >= want && r.free[i+1] < r.free[i] { // the tighter one
			i++
		}
	}
	r.free[i] = 0
	r.used, r.has = true, true
	r.climb(i)
	return i<<order - 1<<r.order, true
}

// give gives a part back.
func (r *region) give(at, order int) {
	i := (at + 1<<r.order) >> order
	r.free[i] = uint8(1 + order)
	r.used = true
	r.climb(i)
}

// climb sees to the tree above i.
func (r *region) climb(i int) {
	for i /= 2; i > 0; i /= 2 {
		half := uint8(2 + r.order - bits.Len(uint(2*i)))
		if a, b := r.free[2*i], r.free[2*i+1]; a == half && b == half {
			r.free[i] = half + 1
		} else {
			r.free[i] = max(a, b)
		}
	}
}

// bytes is the memory of a part that is taken. It may be called at any time until that
// is given back, and at once with the other methods.
func (r *region) bytes(at, order int) []byte {
	r.making.Lock()
	defer r.making.Unlock()
	if r.mem == nil {
		r.mem = make([]byte, r.size())
	}
	from, to := unit*at, unit*(at+1<<order)
	return r.mem[from:to:to]
}
