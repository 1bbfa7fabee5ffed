package echo

import (
	"context"
	"io"
	"sync"
)

// firstSize is the buffer that every message begins in.
const firstSize = 16 << 10

// pools hold buffers of firstSize, four times that and so on: what is likely to
// be wanted again. Four and not two, for fewer copies.
var pools [5]sync.Pool

const largestPooled = firstSize << (2 * (len(pools) - 1)) // 4 MiB

// maxClass is more than any class: such buffers would be larger than what int64 holds.
const maxClass = 45

// sizeOf is the size of the buffers of a class. Those too large to be pooled
// double, so that no more than half of one is ever unused.
func sizeOf(class int) int64 {
	if class < len(pools) {
		return firstSize << (2 * class)
	}
	return largestPooled << (class - len(pools) + 1)
}

// A message is the buffer of the message in flight on one connection.
type message struct {
	budget *Budget
	class  int // of buf's size
	buf    *[]byte
	spare  [1]byte // to see that a message ends where its buffer does
}

// read reads r to its end. The result is valid until release. ctx ends a wait for
// memory.
func (m *message) read(ctx context.Context, r io.Reader) ([]byte, error) {
	if m.buf == nil {
		m.buf = get(0)
	}
	for n := 0; ; {
		b := *m.buf
		into := b[n:]
		if n == len(b) {
			into = m.spare[:]
		}
		got, err := r.Read(into)
		if n == len(b) && got > 0 {
			if err := m.grow(ctx); err != nil {
				return nil, err
			}
			(*m.buf)[n] = m.spare[0]
		}
		n += got
		switch {
		case err == io.EOF:
			return (*m.buf)[:n], nil
		case err != nil:
			return nil, err
		}
	}
}

// grow moves what has been read, a buffer full, to a larger one.
func (m *message) grow(ctx context.Context) error {
	if !m.budget.holds(m.class + 1) {
		return noMemory("no memory for a message as long as this")
	}
	if !m.budget.take(ctx, m.class+1) {
		if err := ctx.Err(); err != nil {
			return err
		}
		return noMemory("no memory for this message now; try again later")
	}
	next := m.budget.get(m.class + 1)
	copy(*next, *m.buf)
	m.budget.give(m.class, m.buf, false)
	m.class++
	m.buf = next
	return nil
}

// release gives the buffer and its memory back.
func (m *message) release() {
	if m.buf == nil {
		return
	}
	m.budget.give(m.class, m.buf, true)
	m.buf, m.class = nil, 0
}

func get(class int) *[]byte {
	if class < len(pools) {
		if b, ok := pools[class].Get().(*[]byte); ok {
			return b
		}
	}
	b := make([]byte, sizeOf(class))
	return &b
}

func put(class int, b *[]byte) {
	if class < len(pools) {
		pools[class].Put(b)
	}
}
