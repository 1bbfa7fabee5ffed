// Package turn sees to it that connections which always have more to do do not keep
// the processors from those that have said something only now. Each has a [Yielder] and
// says when it has done much in a row:
//
//	var t fairness.Yielder
//	for {
//		doMuch()
//		t.Yield() // others have theirs
//	}
//
// It does not say how much is much. It starts no goroutine, and takes no processor from
// anybody: who never says that a turn is over is not stopped.
package fairness

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A Yielder is over when a connection has done much in a row and there is more to do.
// Others have theirs then, also those that have only just said something.
//
// runtime.Gosched alone does not see to that: as long as any goroutine can run, the
// scheduler does not look at the network, save every 10 ms, and who floods can
// always run. So where as many connections are busy as there are processors, they
// wait at a gate, and after each look at the network a few are let through.
//
// The zero Yielder is ready to use. It belongs to one connection; who makes one each time
// always waits where others do.
type Yielder struct {
	last atomic.Uint64 // the number of this connection's last turn, among all
}

// Over returns when the connection may go on.
func (t *Yielder) Yield() {
	now := busy.turns.Add(1)
	// Since its last each of the other busy ones has had one, more or less.
	if last := t.last.Swap(now); last > 0 && now-last < uint64(runtime.GOMAXPROCS(0)) {
		runtime.Gosched() // a processor is left to look at the network
		return
	}
	busy.wait()
}

// busy is where they wait. The scheduler is the whole process's, so this is; and it
// is made at once, for when it is wanted there may be no descriptor left.
var busy = newGate()

type gate struct {
	turns atomic.Uint64

	mu      sync.Mutex
	kept    bool // there is a keeper
	waiting []*pass

	// A pipe of the keeper's to itself. What is sent through it comes out when the
	// scheduler looks at the network.
	r, w *os.File
	raw  syscall.RawConn // of r; nil: there is none
}

func newGate() *gate {
	r, w, err := os.Pipe()
	if err != nil {
		return new(gate)
	}
	raw, err := r.SyscallConn()
	if err != nil {
		r.Close()
		w.Close()
		return new(gate)
	}
	return &gate{r: r, w: w, raw: raw}
}

// A pass is what one waits for. It is no channel, since those of a bubble of
// testing/synctest must not be used outside of it.
type pass struct {
	sync.Mutex      // locked until the pass is given
	keep       bool // who gets it is the keeper now
}

var passes = sync.Pool{New: func() any { return new(pass) }}

// wait returns when it is the caller's turn. One of those that wait is the keeper:
// it sees to the look at the network, lets as many go on as can run at once, itself
// among them, and makes the next one keeper.
//
// A look that takes long shows that somebody else is always ready to run. Then the
// gate is of no use to anybody, and all go on.
func (g *gate) wait() {
	g.mu.Lock()
	if g.kept {
		p := passes.Get().(*pass)
		p.Lock()
		g.waiting = append(g.waiting, p)
		g.mu.Unlock()
		p.Lock()
		keep := p.keep
		p.Unlock()
		passes.Put(p)
		if !keep {
			return
		}
	} else {
		g.kept = true
		g.mu.Unlock()
	}
	began := time.Now()
	g.look()
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.waiting)
	if time.Since(began) < longLook {
		n = min(n, runtime.GOMAXPROCS(0))
	}
	for i, p := range g.waiting[:n] {
		p.keep = i == n-1
		p.Unlock()
	}
	clear(g.waiting[:n])
	g.waiting = g.waiting[n:]
	g.kept = n > 0
}

// longLook is half of what a look takes where the scheduler has to be made to.
const longLook = 5 * time.Millisecond

// look returns when the scheduler has looked at the network. Where that cannot be
// had, as on a system that waits for pipes in another way, it lets those run that
// can.
func (g *gate) look() {
	if g.raw == nil {
		runtime.Gosched()
		return
	}
	var b [1]byte
	sent := false
	err := g.raw.Read(func(uintptr) bool {
		if sent {
			return true
		}
		_, err := g.w.Write(b[:])
		sent = err == nil
		return !sent
	})
	if sent {
		_, _ = g.r.Read(b[:])
	}
	if err != nil || !sent {
		runtime.Gosched()
	}
}
