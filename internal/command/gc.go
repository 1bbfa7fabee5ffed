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

// tuneGC makes the garbage collector run when the heap has grown by 25 %, not by
// 100 %. This bounds the memory that peers can make the server hold. With a heap of a
// few MiB, connection churn would then start the collector all the time. So tuneGC also
// allocates a ballast of 32 MiB. It counts as heap, but uses no memory because no code
// touches it. If GOGC or GOMEMLIMIT is set, tuneGC does nothing. A limit of the container
// applies in addition: see container.setMemoryLimit.
func tuneGC() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(25)
		ballast = make([]byte, 32<<20)
	}
}

var ballast []byte

// releaseIdleMemory returns memory to the system after each burst of allocations,
// until ctx ends. Handshakes leave garbage behind, and an idle server would keep it
// for minutes, because nothing starts the collector.
func releaseIdleMemory(ctx context.Context, b *echo.Budget) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	var burst allocationBurst
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		allocated, objects, free := samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()
		if burst.ended(allocated, objects-uint64(len(ballast)), free, uint64(b.Peak())) {
			runtime.GC() // the contents of a sync.Pool survive one collection
			debug.FreeOSMemory()
		}
	}
}

// An allocationBurst detects the end of a burst of allocations.
type allocationBurst struct {
	allocated uint64 // in all, at the last call of ended
	released  uint64 // in all, when ended last returned true
	used      uint64 // by the budget at most, between the last two calls of ended
	unused    uint64 // by the budget any more, since ended last returned true
}

// ended reports whether a burst has ended since it last returned true. The server then
// allocates little, and a collection would release enough memory. The arguments are in
// bytes. They are all allocations so far, the objects in the heap, and the free memory of
// the heap. The last one is the most that the budget has used since the last call. A
// buffer that the budget does not use any more counts as an object until it is collected.
func (b *allocationBurst) ended(allocated, objects, free, used uint64) bool {
	if used < b.used {
		b.unused += b.used - used
	}
	b.used = used
	free += b.unused
	recent := allocated - b.allocated
	b.allocated = allocated
	if worth := objects/4 + 4<<20; recent > objects/8 || allocated-b.released < worth && free < worth {
		return false
	}
	b.released, b.unused = allocated, 0
	return true
}
