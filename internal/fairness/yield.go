// Package fairness makes busy connections yield to those that have just become ready. Each
// connection has a [Yielder] and calls Yield after a bounded amount of work:
//
//	var y fairness.Yielder
//	for {
//		work()
//		y.Yield()
//	}
//
// The caller decides how much work that is. The package starts no goroutine and
// preempts none: a goroutine that never calls Yield is not slowed down.
package fairness

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Yielder yields the processor for one connection.
//
// runtime.Gosched is not fair to a connection whose input has just arrived. The scheduler
// polls the network only if no goroutine is runnable, or every 10 ms. The goroutines of
// busy connections are always runnable. So if at least as many connections are busy as
// there are processors, they wait in a queue. After each poll of the network a few of them
// continue.
//
// The zero Yielder is ready to use. It belongs to one connection. A new Yielder joins
// the queue at its first Yield.
type Yielder struct {
	lastYield atomic.Uint64 // the number of this Yielder's last yield; 0: it has not yielded
}

// Yield returns when the connection may continue. It blocks for one poll of the network,
// or for a few if more connections wait than there are processors.
func (y *Yielder) Yield() {
	now := process.yields.Add(1)
	// The other busy connections have yielded about once each since the last yield. So
	// the difference is about the number of busy connections.
	if last := y.lastYield.Swap(now); last > 0 && now-last < uint64(runtime.GOMAXPROCS(0)) {
		runtime.Gosched() // a processor is idle and polls the network
		return
	}
	process.wait()
}

// Yields returns how often connections of the process have yielded. It is for tests.
func Yields() uint64 { return process.yields.Load() }

// process is the queue of all connections. A process has one scheduler, so it has one
// queue.
var process queue

// A queue releases goroutines in the order of their calls of wait. The zero queue is ready
// to use.
type queue struct {
	yields atomic.Uint64 // calls of Yield

	mu      sync.Mutex
	polling bool // a goroutine polls the network
	waiting []*waiter

	poller poller // used only by the goroutine that polls
}

// A waiter is a goroutine in the queue. It waits for a mutex and not for a channel. A
// channel of a testing/synctest bubble must not be used outside of that bubble.
type waiter struct {
	sync.Mutex      // locked until the goroutine may continue
	poll       bool // the goroutine polls next
}

var waiters = sync.Pool{New: func() any { return new(waiter) }}

// wait returns when the caller may continue. One goroutine polls at a time. After the
// poll it releases as many waiters as can run at once, and returns. The last of them
// polls next.
//
// A slow poll shows that goroutines outside the queue keep the processors busy. The
// queue does not help then, so all waiters continue.
func (q *queue) wait() {
	q.mu.Lock()
	if q.polling {
		w := waiters.Get().(*waiter)
		w.Lock()
		q.waiting = append(q.waiting, w)
		q.mu.Unlock()
		w.Lock()
		poll := w.poll
		w.Unlock()
		waiters.Put(w)
		if !poll {
			return
		}
	} else {
		q.polling = true
		q.mu.Unlock()
	}
	began := time.Now()
	q.poller.poll()
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.waiting)
	if time.Since(began) < slowPoll {
		n = min(n, runtime.GOMAXPROCS(0))
	}
	for i, w := range q.waiting[:n] {
		w.poll = i == n-1
		w.Unlock()
	}
	clear(q.waiting[:n])
	q.waiting = q.waiting[n:]
	q.polling = n > 0
}

// slowPoll is half of the 10 ms after which the scheduler polls in any case.
const slowPoll = 5 * time.Millisecond
