package echo

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const most = 5 * time.Second // that a message waits here

// A claimant asks a budget, and tells what it was told, and when.
type claimant struct {
	told   chan struct{} // closed then
	got    bool
	waited time.Duration
}

// ask asks for a buffer of a class, and returns when it has been told or waits.
func ask(ctx context.Context, b *Budget, class int) *claimant {
	c := &claimant{told: make(chan struct{})}
	began := time.Now()
	go func() {
		c.got = b.take(ctx, class)
		c.waited = time.Since(began)
		close(c.told)
	}()
	synctest.Wait()
	return c
}

func (c *claimant) want(t *testing.T, got bool, waited time.Duration) {
	t.Helper()
	if <-c.told; c.got != got || c.waited != waited {
		t.Errorf("got %v after %v, want %v after %v", c.got, c.waited, got, waited)
	}
}

// holding makes a budget of so many of the smallest buffers that count, all taken.
func holding(t *testing.T, n int) *Budget {
	t.Helper()
	b, err := NewBudget(int64(n)*counted(1), most)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if !b.take(t.Context(), 1) {
			t.Fatal("an empty budget gives nothing")
		}
	}
	return b
}

func (b *Budget) check(t *testing.T, used int64) {
	t.Helper()
	if b.used != used || b.stuck != 0 {
		t.Errorf("%d bytes are taken, %d by who waits, want %d and none", b.used, b.stuck, used)
	}
}

// TestWaitInTurn: what is given back goes to who has waited longest.
func TestWaitInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := holding(t, 1)
		first, second := ask(t.Context(), b, 1), ask(t.Context(), b, 1)
		time.Sleep(time.Second)
		b.give(1, get(1), true)
		first.want(t, true, time.Second)
		time.Sleep(time.Second)
		b.give(1, get(1), true)
		second.want(t, true, 2*time.Second)
		b.give(1, get(1), true)
		b.check(t, 0)
	})
}

// TestSmallFirst: a message that needs little does not wait behind one that needs
// much, and that gets what it needs when there is enough.
func TestSmallFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := holding(t, 6)
		large, small := ask(t.Context(), b, 2), ask(t.Context(), b, 1) // large is one of the six
		time.Sleep(time.Second)
		b.give(1, get(1), true)
		small.want(t, true, time.Second)
		for range 2 {
			b.give(1, get(1), true)
		}
		time.Sleep(time.Second)
		b.give(1, get(1), true) // three are free now
		large.want(t, true, 2*time.Second)
		b.give(1, get(1), false)
		b.check(t, 6*counted(1))
		b.give(2, get(2), true)
		b.give(1, get(1), true)
		b.give(1, get(1), true)
		b.check(t, 0)
	})
}

// TestWaitInVain: a wait has an end, and so has one whose context is over.
func TestWaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := holding(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		patient, other := ask(t.Context(), b, 1), ask(ctx, b, 1)
		time.Sleep(time.Second)
		cancel()
		other.want(t, false, time.Second)
		patient.want(t, false, most)
		b.check(t, counted(1))
		b.give(1, get(1), true)
		ask(t.Context(), b, 1).want(t, true, 0)
		b.give(1, get(1), true)

		hasty, err := NewBudget(counted(1), 0)
		if err != nil || !hasty.take(t.Context(), 1) {
			t.Fatal(err)
		}
		ask(t.Context(), hasty, 1).want(t, false, 0)
	})
}

// TestJam: where those who want more hold so much that none would ever get it, the one
// that came last is refused, and so on until there is enough for another. A buffer of
// the second class is four of the first, so each wants three more.
func TestJam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := holding(t, 5)
		var all []*claimant
		for range 5 {
			all = append(all, ask(t.Context(), b, 2))
		}
		for _, c := range []*claimant{all[4], all[3], all[2]} {
			c.want(t, false, 0)
			b.give(1, get(1), true)
			synctest.Wait()
		}
		for _, c := range all[:2] {
			c.want(t, true, 0)
			b.give(1, get(1), false)
			b.give(2, get(2), true)
		}
		b.check(t, 0)
	})
}

// TestJamBesideOneThatStays: somebody who does not wait may go on for long. As many are
// refused as that would help nobody.
func TestJamBesideOneThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := holding(t, 6)
		var all []*claimant
		for range 5 {
			all = append(all, ask(t.Context(), b, 2))
		}
		for _, c := range []*claimant{all[4], all[3]} {
			c.want(t, false, 0)
			b.give(1, get(1), true)
			synctest.Wait()
		}
		time.Sleep(time.Second)
		b.give(1, get(1), true)
		for _, c := range all[:3] {
			c.want(t, true, time.Second)
			b.give(1, get(1), false)
			b.give(2, get(2), true)
		}
		b.check(t, 0)
	})
}

// TestHolds: what there never will be is known at once.
func TestHolds(t *testing.T) {
	for _, tt := range []struct {
		limit int64
		class int
		want  bool
	}{
		{64 << 10, 1, true}, {64<<10 - 1, 1, false}, {255 << 10, 2, false}, {256 << 10, 2, true},
		{1<<63 - 1, maxClass - 1, true}, {1<<63 - 1, maxClass, false},
	} {
		b, err := NewBudget(tt.limit, most)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.holds(tt.class); got != tt.want {
			t.Errorf("%d bytes, class %d: got %v", tt.limit, tt.class, got)
		}
	}
	if none := (*Budget)(nil); !none.holds(1) || !none.holds(maxClass-1) || none.holds(maxClass) {
		t.Error("no budget: it has a bound, or none at all")
	}
}

// TestBudgetAtRandom: messages of all sizes come, grow and go. The bound holds, all
// end in time, and nothing is left; and more get through than where none waits.
func TestBudgetAtRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	if waiting, hasty := crowd(t, seed, most), crowd(t, seed, 0); waiting <= hasty {
		t.Errorf("%d got through, and %d where none waits", waiting, hasty)
	}
}

// crowd plays that, and returns how many get through.
func crowd(t *testing.T, seed uint64, wait time.Duration) (echoed int) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 8 << 20
		b, err := NewBudget(limit, wait)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		for i := range 200 {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			all.Go(func() {
				for range 20 {
					last, class := r.IntN(5), 0
					for ; class < last; class++ {
						began := time.Now()
						ok := b.take(t.Context(), class+1)
						if waited := time.Since(began); waited > wait {
							t.Errorf("waited for %v", waited)
						}
						if n := b.Used(); n > limit {
							t.Errorf("%d bytes are taken", n)
						}
						if !ok {
							break
						}
						b.give(class, get(class), false)
						time.Sleep(rand.N(100 * time.Millisecond))
					}
					b.give(class, get(class), true)
					if class == last {
						mu.Lock()
						echoed++
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
		b.check(t, 0)
		t.Logf("waiting for %v, %d of 4000 get through", wait, echoed)
	})
	return echoed
}
