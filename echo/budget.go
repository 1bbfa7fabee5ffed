package echo

import (
	"container/list"
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// A Budget bounds the memory that messages in flight may take together. A nil
// Budget has no bound. It may be used by many goroutines at once.
//
// A message takes memory as it arrives. If there is none, its connection waits and
// is not read from meanwhile, so that the peer is held up as by a slow network. What
// is given back goes to the smallest messages first, and among equals to who has
// waited longest. If messages that wait for more hold so much that none would ever get
// it, whatever others give back, the largest of them is refused.
type Budget struct {
	limit int64
	wait  time.Duration

	mu     sync.Mutex
	used   int64
	stuck  int64               // of used, what those that wait hold
	claims [maxClass]list.List // of those, by the class they want

	// What was given back while memory was short. As garbage, and in pools, it would
	// be there beside what is taken until the runtime collects it.
	spare [maxClass][]*[]byte // by class
	kept  int64               // its size; get sees to it that used and kept fit into limit
}

// NewBudget returns a budget of limit bytes; less than one is refused. A message
// waits for its share of them for the time wait at most, and not at all if that is
// zero or less.
func NewBudget(limit int64, wait time.Duration) (*Budget, error) {
	if limit < 1 {
		return nil, fmt.Errorf("echo: a memory budget of %d bytes leaves no room for a message", limit)
	}
	return &Budget{limit: limit, wait: wait}, nil
}

// Used returns how many bytes are taken now.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// A claim is that of a message which waits.
type claim struct {
	decided chan struct{} // closed then
	granted bool
}

// take takes a buffer of a class for who holds one of the class below, where that can
// be. It returns false if there is none within the time, ctx is over first, or nobody
// who waits would ever get one otherwise.
func (b *Budget) take(ctx context.Context, class int) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fits(class) {
		b.used += more(class)
		return true
	}
	if b.wait <= 0 {
		return false
	}
	c := &claim{decided: make(chan struct{})}
	over := ctx.Done()
	e := b.claims[class].PushBack(c)
	b.stuck += counted(class - 1)
	b.settle()

	b.mu.Unlock()
	t := time.NewTimer(b.wait)
	select {
	case <-c.decided:
	case <-t.C:
	case <-over:
	}
	t.Stop()
	b.mu.Lock()

	if c.open() {
		b.decide(class, e, false)
		b.settle()
	}
	return c.granted
}

func (c *claim) open() bool {
	select {
	case <-c.decided:
		return false
	default:
		return true
	}
}

// holds reports whether there could ever be a buffer of a class for who holds one of
// the class below.
func (b *Budget) holds(class int) bool {
	return class < maxClass && counted(class) <= math.MaxInt && (b == nil || counted(class) <= b.limit)
}

// get returns a buffer of a class that was taken.
func (b *Budget) get(class int) *[]byte {
	if b == nil || class == 0 {
		return get(class)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.spare[class]) > 0 {
		return b.pick(class)
	}
	for c := maxClass - 1; b.used+b.kept > b.limit; {
		if len(b.spare[c]) == 0 {
			c--
			continue
		}
		b.pick(c) // to make room
	}
	return get(class)
}

// give gives back a buffer of a class and the memory for it; for who has taken one of
// the class above, the buffer alone.
func (b *Budget) give(class int, buf *[]byte, all bool) {
	if b == nil || class == 0 {
		put(class, buf)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if all {
		b.used -= counted(class)
	}
	if b.used+b.kept+counted(class) <= b.limit {
		b.spare[class] = append(b.spare[class], buf)
		b.kept += counted(class)
	}
	if b.used <= b.limit/2 { // it is not short any more
		for class := range b.spare {
			for len(b.spare[class]) > 0 {
				put(class, b.pick(class))
			}
		}
	}
	b.settle()
}

// pick takes out one of the spare buffers of a class.
func (b *Budget) pick(class int) *[]byte {
	last := len(b.spare[class]) - 1
	buf := b.spare[class][last]
	b.spare[class][last] = nil
	b.spare[class] = b.spare[class][:last]
	b.kept -= counted(class)
	return buf
}

// settle decides all claims that can be decided. b.mu is held.
func (b *Budget) settle() {
	smallest, largest := 0, 0
	for class := range b.claims {
		for b.claims[class].Len() > 0 && b.fits(class) {
			b.used += more(class)
			b.decide(class, b.claims[class].Front(), true)
		}
		if b.claims[class].Len() > 0 {
			if largest = class; smallest == 0 {
				smallest = class
			}
		}
	}
	if largest > 0 && more(smallest) > b.limit-b.stuck {
		b.decide(largest, b.claims[largest].Back(), false)
	}
}

func (b *Budget) decide(class int, e *list.Element, granted bool) {
	c := b.claims[class].Remove(e).(*claim)
	b.stuck -= counted(class - 1)
	c.granted = granted
	close(c.decided)
}

func (b *Budget) fits(class int) bool { return more(class) <= b.limit-b.used }

// more is what a buffer of a class takes beside what its taker holds, which it gives
// back as soon as it has copied what is in it.
func more(class int) int64 { return counted(class) - counted(class-1) }

// counted is what a buffer of a class takes from a budget: a connection holds one
// of the first class at most, and only while it has a message, so that is free.
func counted(class int) int64 {
	if class == 0 {
		return 0
	}
	return sizeOf(class)
}
