package transport

import (
	"sync"

	"example.com/wsecho/internal/frame"
)

// headroom is kept free before the data in a read buffer, for a header that is made
// up there.
const headroom = frame.MaxHeader

// A Pool lends buffers of one size.
type Pool struct {
	size int
	pool sync.Pool
}

type block struct{ b []byte }

// NewPool returns a pool of buffers for size bytes, or for the least that works
// where that is more, and a frame's header besides: a message of that size comes and
// goes in one piece.
func NewPool(size int) *Pool {
	return &Pool{size: headroom + max(size, minBuffer) + frame.MaxHeader}
}

// minBuffer holds the largest control frame behind the headroom, and then some.
const minBuffer = 512

func (p *Pool) get() *block {
	if b, ok := p.pool.Get().(*block); ok {
		return b
	}
	return &block{make([]byte, p.size)}
}

func (p *Pool) put(b *block) {
	if b != nil {
		p.pool.Put(b)
	}
}
