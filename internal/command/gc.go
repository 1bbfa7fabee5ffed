package command

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"example.com/wsecho/echo"
)

// frugal has the collector run when the heap has grown by a quarter, not by all,
// since it last did: what a peer can make the server hold is multiplied by that. But
// a heap of a few MiB would be collected all the time where connections come and go,
// so there is a ballast: it counts as heap, and as nobody touches it, it is in no
// memory. GOGC or GOMEMLIMIT, where one is set, decides.
func frugal() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(25)
		ballast = make([]byte, 32<<20)
	}
}

var ballast []byte

// A surge of connections leaves behind what their handshakes took, and a server
// that then idles would keep it for minutes: nothing makes the collector run.

// tidy gives memory back to the system when a surge is over, until ctx is. What b has
// dropped is part of it.
func tidy(ctx context.Context, b *echo.Budget) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	var s surge
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		if s.over(samples[0].Value.Uint64(), samples[1].Value.Uint64()-uint64(len(ballast)), samples[2].Value.Uint64(), uint64(b.Held())) {
			runtime.GC() // what is in pools survives one
			debug.FreeOSMemory()
		}
	}
}

// A surge follows what is allocated.
type surge struct {
	last, tidied uint64 // what had been allocated at the last look, and at the last tidying
	held         uint64 // by the budget, at the last look
	dropped      uint64 // by it, since the last tidying
}

// over reports whether a surge has ended since the last one, from what has been
// allocated in all, what is in use, what is held for no use, and what the budget holds,
// in bytes. What that has dropped is in use until it is collected. To give
// it back costs a collection: so it has to be worth one, and the server to have
// little else to do.
func (s *surge) over(allocated, heap, free, held uint64) bool {
	if held < s.held {
		s.dropped += s.held - held
	}
	s.held = held
	free += s.dropped
	lately := allocated - s.last
	s.last = allocated
	if worth := heap/4 + 4<<20; lately > heap/8 || allocated-s.tidied < worth && free < worth {
		return false
	}
	s.tidied, s.dropped = allocated, 0
	return true
}
