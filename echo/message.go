package echo

import (
	"context"
	"io"
	"math"
	"sync"
)

// firstSize is the space that every message begins in.
const firstSize = 16 << 10

// pools hold spaces of firstSize, four times that and so on: what is likely to
// be wanted again. Four and not two, for fewer copies. Where there is a budget, all
// but the first are its business.
var pools [5]sync.Pool

const largestPooled = firstSize << (2 * (len(pools) - 1)) // 4 MiB

// maxClass is more than any class: such a space would be larger than what int64 holds.
const maxClass = 45

// sizeOf is the size of the spaces of a class. Those too large to be pooled
// double, so that no more than half of one is ever unused.
func sizeOf(class int) int64 {
	if class < len(pools) {
		return firstSize << (2 * class)
	}
	return largestPooled << (class - len(pools) + 1)
}

// A space is memory for a message. Its size is that of its class, save where it is the
// reserve of a budget.
type space struct {
	bytes []byte
	class int

	pooled *[]byte // to go to a pool, or nowhere; nil: it is a budget's

	in *region // nil: it is the reserve
	at int     // the place there
}

// A message is what is in flight on one connection.
type message struct {
	budget *Budget
	space
	spare [1]byte // to see that a message ends where its space does
}

var messages = sync.Pool{New: func() any { return new(message) }}

// read reads r to its end. The result is valid until release. ctx ends a wait for
// memory.
func (m *message) read(ctx context.Context, r io.Reader) ([]byte, error) {
	if m.bytes == nil {
		m.space = get(0)
	}
	for n := 0; ; {
		into := m.bytes[n:]
		if len(into) == 0 {
			into = m.spare[:]
		}
		got, err := r.Read(into)
		if n == len(m.bytes) && got > 0 {
			if err := m.grow(ctx); err != nil {
				return nil, err
			}
			m.bytes[n] = m.spare[0]
		}
		n += got
		switch {
		case err == io.EOF:
			return m.bytes[:n], nil
		case err != nil:
			return nil, err
		}
	}
}

// grow moves what has been read, a space full, to a larger one.
func (m *message) grow(ctx context.Context) error {
	b, next := m.budget, m.class+1
	switch {
	case b == nil && (next == maxClass || sizeOf(next) > math.MaxInt), b != nil && int64(len(m.bytes)) >= b.reserve.size:
		return noMemory("no memory for a message as long as this")
	case b == nil:
		m.move(get(next))
	case m.pooled == nil && m.in == nil:
		s := b.more(m.space)
		copy(s.bytes, m.bytes)
		m.space = s
	default:
		s, ok := b.take(ctx, next)
		if !ok {
			if err := ctx.Err(); err != nil {
				return err
			}
			return noMemory("no memory for this message now; try again later")
		}
		m.move(s)
	}
	return nil
}

// move moves it to another space.
func (m *message) move(to space) {
	copy(to.bytes, m.bytes)
	m.release()
	m.space = to
}

// release gives its space back.
func (m *message) release() {
	switch {
	case m.bytes == nil:
	case m.pooled != nil:
		put(m.space)
	default:
		m.budget.give(m.space)
	}
	m.space = space{}
}

func get(class int) space {
	if class < len(pools) {
		if p, ok := pools[class].Get().(*[]byte); ok {
			return space{bytes: *p, class: class, pooled: p}
		}
	}
	b := make([]byte, sizeOf(class))
	return space{bytes: b, class: class, pooled: &b}
}

func put(s space) {
	if s.class < len(pools) {
		pools[s.class].Put(s.pooled)
	}
}
