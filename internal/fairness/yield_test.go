package fairness

import (
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }

// TestTurn: beside many that are always busy, one who has something to say now and
// then is heard sooner than the scheduler would hear it.
func TestTurn(t *testing.T) {
	for try := 1; ; try++ {
		alone := besideBusy(t, func(*Yielder) { runtime.Gosched() })
		turns := besideBusy(t, (*Yielder).Yield)
		t.Logf("measured: median of an echo beside the busy: %v, with turns %v", alone, turns)
		if turns < alone/2 {
			return
		}
		if try == 3 {
			t.Fatal("turns do not help")
		}
	}
}

// besideBusy returns the median time of an echo over TCP beside eight busy
// goroutines for each processor, each of which now and then calls over.
func besideBusy(t *testing.T, over func(*Yielder)) time.Duration {
	far, near := loopback(t)
	defer far.Close()
	var all sync.WaitGroup
	defer all.Wait()
	defer near.Close()
	all.Go(func() {
		for b := make([]byte, 1); ; {
			if _, err := io.ReadFull(far, b); err != nil {
				return
			}
			if _, err := far.Write(b); err != nil {
				return
			}
		}
	})
	done := make(chan struct{})
	defer close(done)
	for range 8 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			var turn Yielder
			for {
				for began := time.Now(); time.Since(began) < 100*time.Microsecond; {
				}
				over(&turn)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	var times []time.Duration
	for range 30 {
		began := time.Now()
		b := []byte("x")
		if _, err := near.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(near, b); err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Since(began))
		time.Sleep(time.Millisecond)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

func loopback(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		client.Close()
		t.Fatal(err)
	}
	return server, client
}

// TestTurns: all that wait get their turns, whoever comes and goes meanwhile, with
// and without a pipe.
func TestTurns(t *testing.T) {
	for name, g := range map[string]*gate{"pipe": newGate(), "no pipe": {}} {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				for n := range 20 * (1 + i%5) {
					g.wait()
					if n%7 == i%7 {
						time.Sleep(time.Duration(i) * time.Microsecond)
					}
				}
			})
		}
		all.Wait()
		if g.kept || len(g.waiting) > 0 {
			t.Errorf("%s: kept %v, %d wait", name, g.kept, len(g.waiting))
		}
		g.close()
	}
}

func (g *gate) close() {
	if g.raw != nil {
		_ = g.r.Close()
		_ = g.w.Close()
	}
}

// TestTurnsInBubbles: connections inside and outside of bubbles wait together.
func TestTurnsInBubbles(t *testing.T) {
	var all sync.WaitGroup
	defer all.Wait()
	wait := func() {
		for range 100 {
			busy.wait()
		}
	}
	for range 4 {
		all.Go(wait)
	}
	synctest.Test(t, func(*testing.T) {
		var all sync.WaitGroup
		defer all.Wait()
		for range 4 {
			all.Go(wait)
		}
	})
}

// TestTurnsBesideAHog: beside goroutines that are always ready and wait at no gate,
// those that do have their turns too.
func TestTurnsBesideAHog(t *testing.T) {
	for try := 1; ; try++ {
		alone := besideAHog(func(*Yielder) { runtime.Gosched() })
		turns := besideAHog((*Yielder).Yield)
		t.Logf("measured: %d turns beside hogs, where none waits at a gate %d", turns, alone)
		if turns > alone/8 {
			return
		}
		if try == 3 {
			t.Fatal("who waits at the gate is forgotten")
		}
	}
}

// besideAHog returns how many turns 50 busy goroutines have in half a second, beside
// one for each processor that is busy too and calls nothing.
func besideAHog(over func(*Yielder)) (turns int64) {
	var all sync.WaitGroup
	var n atomic.Int64
	done := make(chan struct{})
	busy := func(f func()) {
		for {
			for began := time.Now(); time.Since(began) < 100*time.Microsecond; {
			}
			f()
			select {
			case <-done:
				return
			default:
			}
		}
	}
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() { busy(runtime.Gosched) })
	}
	for range 50 {
		all.Go(func() {
			var turn Yielder
			busy(func() {
				n.Add(1)
				over(&turn)
			})
		})
	}
	time.Sleep(500 * time.Millisecond)
	close(done)
	all.Wait()
	return n.Load()
}
