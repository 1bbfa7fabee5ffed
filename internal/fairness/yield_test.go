package fairness

import (
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestYieldLatency measures the echo of a quiet connection beside many busy goroutines.
// Its median time with Yield must be less than half of that with runtime.Gosched.
func TestYieldLatency(t *testing.T) {
	for try := 1; ; try++ {
		gosched := besideBusy(t, func(*Yielder) { runtime.Gosched() })
		yield := besideBusy(t, (*Yielder).Yield)
		t.Logf("measured: median time of an echo beside busy goroutines: %v with Gosched, %v with Yield", gosched, yield)
		if yield < gosched/2 {
			return
		}
		if try == 3 {
			t.Fatal("Yield does not make the echo faster")
		}
	}
}

// besideBusy returns the median time of an echo over TCP beside eight busy goroutines
// for each processor. Each of them calls yield every 100 µs.
func besideBusy(t *testing.T, yield func(*Yielder)) time.Duration {
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
			var y Yielder
			for {
				for began := time.Now(); time.Since(began) < 100*time.Microsecond; {
				}
				yield(&y)
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

// TestQueue has 50 goroutines that wait in a queue, each a different number of times. All
// of them must return, and the queue must be empty then.
func TestQueue(t *testing.T) {
	for name, noPipe := range map[string]bool{"pipe": false, "no pipe": true} {
		q := new(queue)
		if noPipe {
			q.poller.raw = brokenPipe{}
		}
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				for n := range 20 * (1 + i%5) {
					q.wait()
					if n%7 == i%7 {
						time.Sleep(time.Duration(i) * time.Microsecond)
					}
				}
			})
		}
		all.Wait()
		if q.polling || len(q.waiting) > 0 {
			t.Errorf("%s: polling %v, %d goroutines wait, want false and 0", name, q.polling, len(q.waiting))
		}
		q.poller.close()
	}
}

// brokenPipe is a pipe that the runtime's poller does not accept.
type brokenPipe struct{ syscall.RawConn }

func (brokenPipe) Read(func(uintptr) bool) error { return os.ErrNoDeadline }

func (p *poller) close() {
	if p.r != nil {
		_ = p.r.Close()
		_ = p.w.Close()
	}
}

// TestQueueInBubbles has goroutines inside and outside of a bubble that wait in one queue.
func TestQueueInBubbles(t *testing.T) {
	var all sync.WaitGroup
	defer all.Wait()
	wait := func() {
		for range 100 {
			process.wait()
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

// TestYieldBesideAHog counts yields beside goroutines that are always runnable and never
// join the queue. Yield must return at least an eighth as often as runtime.Gosched.
func TestYieldBesideAHog(t *testing.T) {
	for try := 1; ; try++ {
		gosched := besideAHog(func(*Yielder) { runtime.Gosched() })
		yield := besideAHog((*Yielder).Yield)
		t.Logf("measured: beside busy goroutines Yield returned %d times, Gosched %d times", yield, gosched)
		if yield > gosched/8 {
			return
		}
		if try == 3 {
			t.Fatal("the queue starves")
		}
	}
}

// besideAHog returns how often 50 busy goroutines call yield in half a second. Beside
// them, one goroutine for each processor is busy and calls only runtime.Gosched.
func besideAHog(yield func(*Yielder)) (yields int64) {
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
			var y Yielder
			busy(func() {
				n.Add(1)
				yield(&y)
			})
		})
	}
	time.Sleep(500 * time.Millisecond)
	close(done)
	all.Wait()
	return n.Load()
}
