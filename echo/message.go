package echo

import (
	"context"
	"io"
	"sync"
)

// A message is the message that a connection is echoing.
type message struct {
	budget   *Budget
	buffer   *[]byte // nil between messages
	acquired int64   // bytes of the budget
	spare    [1]byte // read into if the buffer is full
}

var messages = sync.Pool{New: func() any { return new(message) }}

// maxJump is the largest buffer that replaces a full one of less than a quarter of its
// size. So a peer that announces a huge message and sends little of it makes the server
// allocate little.
const maxJump = 16 << 20

// read reads r to its end. The result is valid until release. If ctx is done, read does
// not wait for memory.
func (m *message) read(ctx context.Context, r io.Reader) ([]byte, error) {
	m.buffer = m.budget.buffer(freeSize)
	for n := 0; ; {
		into := (*m.buffer)[n:]
		if len(into) == 0 {
			into = m.spare[:] // the message may end here
		}
		got, err := r.Read(into)
		if n == len(*m.buffer) && got > 0 {
			if err := m.grow(ctx, r); err != nil {
				return nil, err
			}
			(*m.buffer)[n] = m.spare[0]
		}
		n += got
		switch {
		case err == io.EOF:
			m.shrink(int64(len(*m.buffer)))
			return (*m.buffer)[:n], nil
		case err != nil:
			return nil, err
		}
	}
}

// grow replaces the buffer, which is full, by a larger one.
func (m *message) grow(ctx context.Context, r io.Reader) error {
	b, n, size := m.budget, int64(len(*m.buffer)), int64(-1)
	if s, ok := r.(sized); ok {
		size = s.Size()
	}
	if max(size, n+1) > b.longest {
		b.refused.Add(1)
		return errTooLong
	}
	next := b.sizeFor(4 * n)
	need := next
	if size > n {
		need = b.sizeFor(size)
		next = min(need, b.sizeFor(max(4*n, maxJump)))
	}
	if err := m.acquire(ctx, need, size > n); err != nil {
		return err
	}
	larger := b.buffer(next)
	copy(*larger, *m.buffer)
	b.recycle(m.buffer)
	m.buffer = larger
	return nil
}

// acquire acquires bytes until the message has need bytes of the budget. It waits only if
// need is the final number and the message has none yet. So no message with memory waits
// for more.
func (m *message) acquire(ctx context.Context, need int64, all bool) error {
	if need <= m.acquired {
		return nil
	}
	var err error
	if all && m.acquired == 0 {
		err = m.budget.acquire(ctx, need)
	} else {
		err = m.budget.tryAcquire(need - m.acquired)
	}
	switch err {
	case nil:
		m.acquired = need
	case errNoMemory:
		m.budget.refused.Add(1)
	}
	return err
}

// shrink releases the acquired bytes beyond the first n.
func (m *message) shrink(n int64) {
	if m.acquired > n {
		m.budget.release(m.acquired - n)
		m.acquired = n
	}
}

// release releases all memory of the message.
func (m *message) release() {
	if m.buffer != nil {
		m.budget.recycle(m.buffer) // before its bytes are released: a waiter may use it
		m.buffer = nil
	}
	m.shrink(0)
}
