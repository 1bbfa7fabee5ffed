package transport

import (
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurn: beside many that are always busy, one who has something to say now and
// then is heard sooner than the scheduler would hear it.
func TestTurn(t *testing.T) {
	for try := 1; ; try++ {
		alone := besideBusy(t, func(*Turn) { runtime.Gosched() })
		turns := besideBusy(t, (*Turn).Over)
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
func besideBusy(t *testing.T, over func(*Turn)) time.Duration {
	near, far := tcpPair(t)
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
			var turn Turn
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

func tcpPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}
