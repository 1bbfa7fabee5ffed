package echo

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"example.com/wsecho/ending"
)

// A Budget bounds the memory that the messages of many connections use together.
// A nil Budget has no bound. Its methods may be called concurrently.
//
// A message of at most 16 KiB needs no budget. If its header announces the length, a
// longer message acquires all its memory after its first 16 KiB. It waits if there is not
// enough. Meanwhile the server does not read from its connection (TCP backpressure). A
// message of unknown length, in fragments or compressed, acquires memory as it grows. It
// does not wait: if there is none, it is refused. So no message with memory waits for
// more, and there is no deadlock.
//
// Messages that wait are served in order of arrival. A large message therefore never
// starves. The messages behind it wait until there is enough memory for it, even if there
// is enough for them. Meanwhile messages that grow are refused.
type Budget struct {
	limit   int64
	longest int64
	wait    time.Duration
	memory  *semaphore.Weighted // nil: unbounded
	used    atomic.Int64
	peak    atomic.Int64  // the largest used since the last call of Peak
	buffers [64]sync.Pool // of *[]byte, by the bits of the length minus one

	waiting, waits, waited, refused atomic.Int64 // see BudgetStats
}

// BudgetStats is the state of a Budget, for metrics.
type BudgetStats struct {
	Limit   int64         // bytes
	Used    int64         // bytes that messages have acquired now
	Waiting int64         // messages that wait for memory now
	Waits   int64         // messages that have waited, and do not any more
	Waited  time.Duration // the sum of these waits
	Refused int64         // messages for which there was no memory
}

// Stats returns the state of b. It is zero for a nil Budget.
func (b *Budget) Stats() BudgetStats {
	if b == nil {
		return BudgetStats{}
	}
	return BudgetStats{
		Limit: b.limit, Used: b.used.Load(), Waiting: b.waiting.Load(), Waits: b.waits.Load(),
		Waited: time.Duration(b.waited.Load()), Refused: b.refused.Load(),
	}
}

const (
	freeSize       = 16 << 10          // the first buffer of a message, which needs no budget
	defaultLongest = 1 << 30           // the largest default
	maxLongest     = math.MaxInt/2 + 1 // the largest power of two that a slice can have
)

var unbounded = &Budget{longest: maxLongest}

// NewBudget returns a budget of limit bytes, at least one.
//
// A message of more than longest bytes is refused at once. So longest should be the read
// limit of the connections. If longest is larger than limit, it is limit. If it is not
// positive, it is two thirds of limit, at most 1 GiB.
//
// A message waits for memory for at most wait. If wait is not positive, a message does
// not wait.
func NewBudget(limit, longest int64, wait time.Duration) (*Budget, error) {
	if limit < 1 {
		return nil, fmt.Errorf("echo: memory budget of %d bytes, want at least 1", limit)
	}
	if longest <= 0 {
		longest = min(limit-limit/3, defaultLongest)
	}
	return &Budget{
		limit:   limit,
		longest: min(longest, limit, maxLongest),
		wait:    wait,
		memory:  semaphore.NewWeighted(limit),
	}, nil
}

// Used returns how many bytes messages have acquired now.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// Peak returns the largest value of Used since the last call of Peak. Buffers for as
// many bytes may stay in memory, unused, until the second garbage collection.
func (b *Budget) Peak() int64 {
	if b == nil {
		return 0
	}
	return b.peak.Swap(b.used.Load())
}

// acquire acquires n bytes. It waits for them until the memory wait is over or ctx is
// done. If ctx is done, it returns ctx's error.
func (b *Budget) acquire(ctx context.Context, n int64) error {
	err := b.tryAcquire(n)
	if err == nil || b.wait <= 0 {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, b.wait)
	defer cancel()
	began := time.Now()
	b.waiting.Add(1)
	defer func() {
		b.waited.Add(int64(time.Since(began)))
		b.waits.Add(1)
		b.waiting.Add(-1)
	}()
	if b.memory.Acquire(waiting, n) == nil {
		b.count(n)
		return nil
	}
	return cmp.Or(ctx.Err(), error(errNoMemory))
}

// tryAcquire acquires n bytes if there are as many now and no message waits for memory.
func (b *Budget) tryAcquire(n int64) error {
	if b.memory == nil {
		return nil
	}
	if !b.memory.TryAcquire(n) {
		return errNoMemory
	}
	b.count(n)
	return nil
}

// count adds n acquired bytes to Used.
func (b *Budget) count(n int64) {
	used := b.used.Add(n)
	for peak := b.peak.Load(); used > peak && !b.peak.CompareAndSwap(peak, used); {
		peak = b.peak.Load()
	}
}

// release releases n bytes.
func (b *Budget) release(n int64) {
	if b.memory != nil {
		b.used.Add(-n)
		b.memory.Release(n)
	}
}

// sizeFor returns the length of the buffer for n bytes, which are at most b.longest.
func (b *Budget) sizeFor(n int64) int64 { return min(1<<bits.Len64(uint64(n-1)), b.longest) }

// buffer returns a buffer of size bytes: freeSize, or a result of sizeFor.
func (b *Budget) buffer(size int64) *[]byte {
	if p, ok := b.pool(size).Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, size)
	return &p
}

// recycle makes a buffer available to other messages.
func (b *Budget) recycle(p *[]byte) { b.pool(int64(len(*p))).Put(p) }

func (b *Budget) pool(size int64) *sync.Pool { return &b.buffers[bits.Len64(uint64(size-1))] }

var (
	errTooLong  = noMemory("no memory for a message as long as this")
	errNoMemory = noMemory("no memory for this message now; try again later")
)

func noMemory(reason string) *ending.Choice {
	return &ending.Choice{Err: ending.Error{Kind: ending.NoMemory, Reason: reason}}
}
