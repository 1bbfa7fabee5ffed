package transport

import (
	"sync"

	"example.com/wsecho/internal/frame"
)

// headroom is the free space before the data in a read buffer. Scanner.Resume writes a
// header there.
const headroom = frame.MaxHeader

// A Pool is a pool of buffers of one size. It may be used concurrently.
type Pool struct {
	size int
	pool sync.Pool
}

type block struct{ b []byte }

// NewPool returns a pool of buffers for messages of size bytes. A message of that size
// and its header fit in one buffer. A size under 512 bytes is raised to that.
func NewPool(size int) *Pool {
	return &Pool{size: headroom + max(size, minBuffer) + frame.MaxHeader}
}

// minBuffer is the smallest size. The largest control frame fits in it.
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
