package transport

import "sync"

// headroom is kept free before the data in a read buffer, for a frame header
// that is made up there: two bytes, eight of length, four of mask key.
const headroom = 14

// A Pool lends buffers of one size.
type Pool struct {
	size int
	pool sync.Pool
}

type block struct{ b []byte }

// NewPool returns a pool of buffers of size bytes, or of the least that works
// where that is more.
func NewPool(size int) *Pool {
	return &Pool{size: max(size, minBuffer)}
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
