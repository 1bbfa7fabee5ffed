package echo

import (
	"fmt"
	"sync/atomic"
)

// A Budget bounds the memory that messages in flight may take together. A nil
// Budget has no bound. It may be used by many goroutines at once.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget returns a budget of limit bytes; less than one is refused.
func NewBudget(limit int64) (*Budget, error) {
	if limit < 1 {
		return nil, fmt.Errorf("echo: a memory budget of %d bytes leaves no room for a message", limit)
	}
	return &Budget{limit: limit}, nil
}

// Used returns how many bytes are taken now.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// take takes n bytes if they are there. It never waits.
func (b *Budget) take(n int64) bool {
	if b == nil {
		return true
	}
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// short reports whether more than half is taken.
func (b *Budget) short() bool { return b != nil && b.used.Load() > b.limit/2 }

func (b *Budget) give(n int64) {
	if b != nil && n > 0 {
		b.used.Add(-n)
	}
}
