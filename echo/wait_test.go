package echo

import (
	"bytes"
	"context"
	"io"
	"math"
	"math/rand/v2"
	"strings"
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

// TestLongest: how long a message may be, exactly, and what is refused at once.
func TestLongest(t *testing.T) {
	for _, tt := range []struct{ limit, longest, want int64 }{
		{24 << 20, 16 << 20, 16 << 20},
		{16 << 20, 16 << 20, 16 << 20},
		{1 << 20, 16 << 20, 1 << 20},
		{24 << 20, 0, 16 << 20},
		{24 << 20, -1, 16 << 20},
		{100_000, 70_001, 70_001},
		{200_000, 10_000, firstSize},
		{1, 0, firstSize},
		{30 << 20, 20_000_001, 20_000_001}, // a reserve that is made in steps
		{1 << 60, 1 << 20, 1 << 20},
	} {
		b, err := NewBudget(tt.limit, tt.longest, 0)
		if err != nil {
			t.Fatal(err)
		}
		m := message{budget: b}
		if p, err := m.read(t.Context(), numbered(tt.want)); err != nil || !isNumbered(p, tt.want) {
			t.Errorf("%+v: got %d bytes, %v", tt, len(p), err)
		}
		m.release()
		p, err := m.read(t.Context(), numbered(tt.want+1))
		if end := ending.Of(err); end.Kind != ending.NoMemory || !strings.Contains(end.Reason, "as long as this") {
			t.Errorf("%+v: one byte more: got %d bytes, %v", tt, len(p), err)
		}
		m.release()
		b.check(t, 0)
	}
}

// TestLongestEver: a reserve never asks for a slice longer than one can be, which on a
// 32-bit machine is less than a limit may be.
func TestLongestEver(t *testing.T) {
	for _, longest := range []int64{3 << 30, math.MaxInt64, 0} {
		b, err := NewBudget(math.MaxInt64, longest, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n := b.reserve.size; n > math.MaxInt || n > longest && longest > 0 || n < 1<<30 {
			t.Errorf("%d: a reserve of %d bytes", longest, n)
		}
		if b.reserve.size+b.left != math.MaxInt64 {
			t.Errorf("%d: %d and %d bytes are not the limit", longest, b.reserve.size, b.left)
		}
	}
}

// numbered reads bytes that tell where they are.
func numbered(n int64) io.Reader {
	at := 0
	return io.LimitReader(readFunc(func(p []byte) (int, error) {
		n := copy(p, place[at:])
		at = (at + n) % len(place)
		return n, nil
	}), n)
}

func isNumbered(p []byte, n int64) bool {
	for ; len(p) > len(place); n -= int64(len(place)) {
		if !bytes.Equal(p[:len(place)], place) {
			return false
		}
		p = p[len(place):]
	}
	return int64(len(p)) == n && bytes.Equal(p, place[:n])
}

// place is of a length that no size is a multiple of.
var place = func() []byte {
	p := make([]byte, 65_521)
	for i := range p {
		p[i] = byte(i % 251)
	}
	return p
}()

// TestDropped: memory that nobody uses is kept for moments, and what is in use for as
// long as it is.
func TestDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, all := holding(t, 1)
		held := func(want int64) {
			t.Helper()
			synctest.Wait()
			if n := b.Held(); n != want {
				t.Errorf("it has %d bytes, want %d", n, want)
			}
		}
		reserve := b.reserve.size
		held(unit + reserve)
		time.Sleep(time.Minute)
		held(unit + reserve)
		b.give(all[0])
		time.Sleep(2 * keepFor)
		held(reserve)
		b.give(all[1])
		for range 10 {
			time.Sleep(keepFor * 9 / 10)
			s, ok := b.take(t.Context(), 2)
			if !ok {
				t.Fatal("there is nothing")
			}
			b.give(s)
			held(reserve)
		}
		time.Sleep(2 * keepFor)
		held(0)
		b.check(t, 0)
	})
}

// TestKeptAfterLongUse: memory is kept for keepFor after it was given back, however long
// it was in use before.
func TestKeptAfterLongUse(t *testing.T) {
	for i := range 2 { // what is shared, and the reserve
		synctest.Test(t, func(t *testing.T) {
			b, all := holding(t, 1)
			time.Sleep(3*keepFor - time.Millisecond) // just before it looks again
			had := b.Held()
			b.give(all[i])
			time.Sleep(keepFor - time.Millisecond)
			synctest.Wait()
			if n := b.Held(); n != had {
				t.Errorf("space %d: it has %d bytes, want %d", i, n, had)
			}
			time.Sleep(keepFor + time.Millisecond)
			synctest.Wait()
			if n := b.Held(); n >= had {
				t.Errorf("space %d: it still has %d bytes", i, n)
			}
			b.give(all[1-i])
			b.check(t, 0)
		})
	}
}

// TestMakingStopsNobody: to make memory takes time, and nobody waits for it who does not
// need it.
func TestMakingStopsNobody(t *testing.T) {
	b, err := NewBudget(2<<20, 1<<20, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.addRegion(0)
	r := b.regions[0]
	r.making.Lock()
	made := make(chan space)
	go func() {
		s, _ := b.take(t.Context(), 3) // all of it
		made <- s
	}()
	for b.Used() == 0 {
		if t.Context().Err() != nil {
			return
		}
	}
	other, ok := b.take(t.Context(), 3)
	if !ok || other.in != nil {
		t.Errorf("got %v, in %v", ok, other.in)
	}
	b.give(other)
	if n := b.Held(); n != b.limit {
		t.Errorf("it has %d bytes, want %d", n, b.limit)
	}
	r.making.Unlock()
	b.give(<-made)
	b.check(t, 0)
}

// TestMadeLate: memory is dropped some time, also where it took seconds to be made.
func TestMadeLate(t *testing.T) {
	for _, limit := range []int64{1 << 20, 2 << 20} { // the reserve, and what is shared
		synctest.Test(t, func(t *testing.T) {
			b, err := NewBudget(limit, 1<<20, 0)
			if err != nil {
				t.Fatal(err)
			}
			s, ok := b.await(t.Context(), 3)
			if !ok || (s.in != nil) != (limit > 1<<20) {
				t.Fatalf("got %v, in %v", ok, s.in)
			}
			time.Sleep(3 * keepFor)
			s.bytes = b.memory(s)
			if b.give(s); b.Held() != 1<<20 {
				t.Errorf("it has %d bytes", b.Held())
			}
			time.Sleep(2 * keepFor)
			synctest.Wait()
			if n := b.Held(); n != 0 {
				t.Errorf("it still has %d bytes", n)
			}
			b.check(t, 0)
		})
	}
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
