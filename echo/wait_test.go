package echo

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/ending"
)

const most = 5 * time.Second // that a message waits here

// A claimant asks a budget, and tells what it was told, and when.
type claimant struct {
	told   chan struct{} // closed then
	space  space
	got    bool
	waited time.Duration
}

// ask asks for a space of a class, and returns when it has been told or waits.
func ask(ctx context.Context, b *Budget, class int) *claimant {
	c := &claimant{told: make(chan struct{})}
	began := time.Now()
	go func() {
		c.space, c.got = b.take(ctx, class)
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

// holding makes a budget of so many of the smallest spaces and a reserve for a message
// of 4 MiB, all taken. The reserve is the last of them.
func holding(t *testing.T, n int) (*Budget, []space) {
	t.Helper()
	const reserve = 4 << 20
	b, err := NewBudget(reserve+int64(n)*sizeOf(1), reserve, most)
	if err != nil {
		t.Fatal(err)
	}
	var all []space
	for range n + 1 {
		s, ok := b.take(t.Context(), 1)
		if !ok {
			t.Fatal("a budget that is not spent gives nothing")
		}
		all = append(all, s)
	}
	if s := all[n]; s.in != nil || len(s.bytes) != reserve {
		t.Fatalf("the last is of %d bytes", len(s.bytes))
	}
	return b, all
}

func (b *Budget) check(t *testing.T, used int64) {
	t.Helper()
	if b.used != used || b.waiting != 0 {
		t.Errorf("%d bytes are taken, and %d wait, want %d and none", b.used, b.waiting, used)
	}
	whole := !b.reserve.taken
	for _, r := range b.regions {
		whole = whole && r.whole()
	}
	if used == 0 && !whole {
		t.Error("nothing is taken, and it is not whole")
	}
}

// TestWaitInTurn: what is given back goes to who has waited longest.
func TestWaitInTurn(t *testing.T) {
	for _, n := range []int{0, 1} { // of the reserve, and of what is shared
		synctest.Test(t, func(t *testing.T) {
			b, all := holding(t, n)
			first, second := ask(t.Context(), b, 1), ask(t.Context(), b, 1)
			time.Sleep(time.Second)
			b.give(all[0])
			first.want(t, true, time.Second)
			time.Sleep(time.Second)
			b.give(first.space)
			second.want(t, true, 2*time.Second)
			b.give(second.space)
			if n > 0 {
				b.give(all[1])
			}
			b.check(t, 0)
		})
	}
}

// TestSmallFirst: a message that needs little does not wait behind one that needs
// much, and that gets what it needs when there is enough in one piece.
func TestSmallFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, all := holding(t, 8)
		large, small := ask(t.Context(), b, 2), ask(t.Context(), b, 1)
		time.Sleep(time.Second)
		b.give(all[0])
		small.want(t, true, time.Second)
		for i := range 4 {
			time.Sleep(time.Second / 2)
			b.give(all[4+i])
		}
		large.want(t, true, 3*time.Second)
		b.give(large.space)
		b.give(small.space)
		for _, i := range []int{1, 2, 3, 8} {
			b.give(all[i])
		}
		b.check(t, 0)
	})
}

// TestReserveInTurn: the reserve goes to who has waited longest, however much it needs.
func TestReserveInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, all := holding(t, 1)
		large, small := ask(t.Context(), b, 3), ask(t.Context(), b, 1)
		time.Sleep(time.Second)
		b.give(all[1])
		large.want(t, true, time.Second)
		b.give(large.space)
		small.want(t, true, time.Second)
		b.give(small.space)
		b.give(all[0])
		b.check(t, 0)
	})
}

// TestWaitInVain: a wait has an end, and so has one whose context is over.
func TestWaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, all := holding(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		patient, other := ask(t.Context(), b, 1), ask(ctx, b, 1)
		time.Sleep(time.Second)
		cancel()
		other.want(t, false, time.Second)
		patient.want(t, false, most)
		b.check(t, b.reserve.size)
		b.give(all[0])
		next := ask(t.Context(), b, 1)
		next.want(t, true, 0)
		b.give(next.space)
		b.check(t, 0)

		hasty, err := NewBudget(sizeOf(1), sizeOf(1), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := hasty.take(t.Context(), 1); !ok {
			t.Fatal("nothing of a budget that is not spent")
		}
		ask(t.Context(), hasty, 1).want(t, false, 0)
	})
}

// TestNoJam: where many hold a part and want more, each gets it, one after the other.
func TestNoJam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, all := holding(t, 8)
		var asking sync.WaitGroup
		for _, s := range all[:8] {
			asking.Go(func() {
				next, ok := b.take(t.Context(), 2)
				if !ok {
					t.Error("one is refused")
					return
				}
				b.give(s)
				time.Sleep(time.Second / 2)
				b.give(next)
			})
		}
		synctest.Wait()
		b.give(all[8])
		asking.Wait()
		b.check(t, 0)
	})
}

// TestBudgetAtRandom: messages of all sizes come, grow and go. The bound holds, all
// end in time, nothing is left, and none is refused that would only have had to wait.
func TestBudgetAtRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	if n := crowd(t, seed, time.Hour); n != 4000 {
		t.Errorf("%d of 4000 got through where all can wait", n)
	}
	if waiting, hasty := crowd(t, seed, most), crowd(t, seed, 0); waiting <= hasty {
		t.Errorf("%d got through, and %d where none waits", waiting, hasty)
	}
}

// crowd plays that, and returns how many get through.
func crowd(t *testing.T, seed uint64, wait time.Duration) (echoed int) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10_000_000
		b, err := NewBudget(limit, sizeOf(4), wait)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		for i := range 200 {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			all.Go(func() {
				for range 20 {
					size := firstSize << (2 * r.IntN(5))
					m := message{budget: b}
					began, longest := time.Now(), time.Duration(0)
					_, err := m.read(t.Context(), readFunc(func(p []byte) (int, error) {
						longest = max(longest, time.Since(began))
						if n := b.Used(); n > limit {
							t.Errorf("%d bytes are taken", n)
						}
						if n := b.Held(); n > limit {
							t.Errorf("it has %d bytes", n)
						}
						if size == 0 {
							return 0, io.EOF
						}
						n := min(len(p), size)
						size -= n
						time.Sleep(rand.N(50 * time.Millisecond))
						began = time.Now()
						return n, nil
					}))
					if longest > wait {
						t.Errorf("waited for %v", longest)
					}
					m.release()
					if err == nil {
						mu.Lock()
						echoed++
						mu.Unlock()
					} else if ending.Of(err).Kind != ending.NoMemory {
						t.Error(err)
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

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
