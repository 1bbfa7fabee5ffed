package echo

import (
	"container/list"
	"context"
	"fmt"
	"math"
	"math/bits"
	"sync"
	"time"
)

// A Budget bounds the memory that messages in flight may take together. A nil
// Budget has no bound. It may be used by many goroutines at once.
//
// A message takes memory as it arrives. If there is none, its connection waits and
// is not read from meanwhile, so that the peer is held up as by a slow network. What
// is given back goes to the smallest messages first, and among equals to who has
// waited longest.
//
// Messages that hold a part and wait for more could be in each other's way for ever.
// So there is a reserve in which the longest message has room. One message at a time
// has it, wants nothing more, and is followed by who has waited longest: whoever waits
// gets on, unless time is up.
type Budget struct {
	limit int64
	wait  time.Duration

	mu      sync.Mutex
	used    int64
	regions []*region // what messages share; made when there is need for one
	left    int64     // of the limit, for more of them
	reserve reserve
	claims  [maxClass]list.List // of those that wait, by the class they want
	waiting int                 // how many
	asked   uint64              // how many have waited
	looking bool                // look is going to be called
}

// A reserve has room for one message. Most of its memory is made as it is wanted.
type reserve struct {
	size  int64
	mem   []byte // while it is taken, who has it makes this
	taken bool
	used  bool // since used was last cleared
}

// What a Budget has of the runtime it keeps for keepFor at least, and twice that at
// most, after it was last used.
const keepFor = time.Second

const (
	largestRegion = 8        // its order: 16 MiB
	reserveStep   = 16 << 20 // what a reserve is made of at first, if it is larger
	reserveMost   = 1 << 30  // the size of one whose size was not asked for

	longestEver = math.MaxInt/2 + 1 // of what doubles, and fits into a slice; 1 GiB on a 32-bit machine
)

// NewBudget returns a budget of limit bytes; less than one is refused.
//
// The reserve is of longest bytes, of all of limit if that is less. Longer messages
// are refused, so longest should be the connections' read limit. Zero or less: two
// thirds of limit, and 1 GiB at most.
//
// A message waits for memory for the time wait at most, and not at all if that is zero
// or less.
func NewBudget(limit, longest int64, wait time.Duration) (*Budget, error) {
	if limit < 1 {
		return nil, fmt.Errorf("echo: a memory budget of %d bytes leaves no room for a message", limit)
	}
	if longest <= 0 {
		longest = min(limit-limit/3, reserveMost)
	}
	b := &Budget{limit: limit, wait: wait}
	b.reserve.size = min(longest, limit, longestEver)
	b.left = limit - b.reserve.size
	return b, nil
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

// Held returns how many bytes of memory it has, for those that are taken and, for a
// second or two, for the next.
func (b *Budget) Held() int64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := int64(len(b.reserve.mem))
	for _, r := range b.regions {
		if r.has {
			n += r.size()
		}
	}
	return n
}

// A claim is that of a message which waits.
type claim struct {
	class   int
	number  uint64        // the later, the greater
	decided chan struct{} // closed when it has got
	got     space
}

// take takes a space of a class, or another that is enough for any message. It returns
// false if there is none within the time, or ctx is over first.
func (b *Budget) take(ctx context.Context, class int) (space, bool) {
	s, ok := b.await(ctx, class)
	if ok {
		s.bytes = b.memory(s)
	}
	return s, ok
}

// await takes a space that may have no memory yet.
func (b *Budget) await(ctx context.Context, class int) (space, bool) {
	b.mu.Lock()
	s, ok := b.find(class)
	if ok || b.wait <= 0 {
		b.mu.Unlock()
		return s, ok
	}
	b.asked++
	b.waiting++
	c := &claim{class: class, number: b.asked, decided: make(chan struct{})}
	e := b.claims[class].PushBack(c)
	b.mu.Unlock()

	t := time.NewTimer(b.wait)
	defer t.Stop()
	select {
	case <-c.decided:
		return c.got, true
	case <-t.C:
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-c.decided: // only just
		return c.got, true
	default:
		b.claims[class].Remove(e)
		b.waiting--
		return space{}, false
	}
}

// memory is that of a space, which has been taken. To make many MiB takes milliseconds,
// and b.mu is not held.
func (b *Budget) memory(s space) []byte {
	if s.in != nil {
		return s.in.bytes(s.at, orderOf(s.class))
	}
	r := &b.reserve
	if n := min(r.size, max(reserveStep, sizeOf(s.class))); int64(len(r.mem)) < n {
		b.makeReserve(n)
	}
	return r.mem
}

// more makes the memory of the reserve twice as large as s, which is it.
func (b *Budget) more(s space) space {
	b.makeReserve(min(b.reserve.size, 2*int64(len(s.bytes))))
	s.bytes = b.reserve.mem
	return s
}

// makeReserve makes it anew, for who has it.
func (b *Budget) makeReserve(n int64) {
	mem := make([]byte, n)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserve.mem = mem
}

// give gives back a space.
func (b *Budget) give(s space) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.in != nil {
		s.in.give(s.at, orderOf(s.class))
		b.used -= sizeOf(s.class)
	} else {
		b.reserve.taken, b.reserve.used = false, true
		b.used -= b.reserve.size
	}
	for class := 0; b.waiting > 0 && class < maxClass; class++ {
		for b.claims[class].Len() > 0 {
			s, ok := b.share(class)
			if !ok {
				break
			}
			b.grant(b.claims[class].Front(), s)
		}
	}
	if b.waiting > 0 && !b.reserve.taken {
		var first *list.Element
		for class := range b.claims {
			if e := b.claims[class].Front(); e != nil && (first == nil || e.Value.(*claim).number < first.Value.(*claim).number) {
				first = e
			}
		}
		b.grant(first, b.takeReserve(first.Value.(*claim).class))
	}
}

func (b *Budget) grant(e *list.Element, s space) {
	c := e.Value.(*claim)
	b.claims[c.class].Remove(e)
	b.waiting--
	c.got = s
	close(c.decided)
}

// find finds a space for a class. b.mu is held, as it is by all that follow.
func (b *Budget) find(class int) (space, bool) {
	if s, ok := b.share(class); ok {
		return s, true
	}
	if b.reserve.taken {
		return space{}, false
	}
	return b.takeReserve(class), true
}

// share finds it in what messages share.
func (b *Budget) share(class int) (space, bool) {
	order := orderOf(class)
	for i := 0; ; i++ {
		if i == len(b.regions) && !b.addRegion(order) {
			return space{}, false
		}
		r := b.regions[i]
		at, ok := r.take(order)
		if !ok {
			continue
		}
		b.used += sizeOf(class)
		b.keep()
		return space{class: class, in: r, at: at}, true
	}
}

// addRegion adds the largest region there is room for, if a part of that order can be
// had there.
func (b *Budget) addRegion(order int) bool {
	largest := min(bits.Len64(uint64(b.left/unit))-1, largestRegion)
	if order > largest {
		return false
	}
	r := newRegion(largest)
	b.left -= r.size()
	b.regions = append(b.regions, r)
	return true
}

// takeReserve takes the reserve, which is free, for a class.
func (b *Budget) takeReserve(class int) space {
	b.reserve.taken, b.reserve.used = true, true
	b.used += b.reserve.size
	b.keep()
	return space{class: class}
}

// keep sees to it that memory which nobody uses is dropped some time.
func (b *Budget) keep() {
	if !b.looking {
		b.looking = true
		time.AfterFunc(keepFor, b.look)
	}
}

// look drops memory that nobody has used since it last looked.
func (b *Budget) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looking = false
	kept := false
	for _, r := range b.regions {
		if r.whole() && !r.used {
			r.mem, r.has = nil, false
		}
		r.used = false
		kept = kept || r.has
	}
	if !b.reserve.taken && !b.reserve.used {
		b.reserve.mem = nil
	}
	b.reserve.used = false
	if kept || b.reserve.taken || b.reserve.mem != nil {
		b.keep()
	}
}

// orderOf is how many units a space of a class has, as a power of two.
func orderOf(class int) int { return bits.Len64(uint64(sizeOf(class)/unit)) - 1 }
