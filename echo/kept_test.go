package echo

import (
	"testing"
	"testing/synctest"
	"time"
)

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
