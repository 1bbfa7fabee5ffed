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

const memoryWait = 5 * time.Second

// A request is a call of acquire and its result.
type request struct {
	done   chan struct{} // closed when acquire has returned
	err    error
	waited time.Duration
}

// acquire calls b.acquire. It returns when that has returned or waits.
func acquire(ctx context.Context, b *Budget, n int64) *request {
	r := &request{done: make(chan struct{})}
	start := time.Now()
	go func() {
		r.err = b.acquire(ctx, n)
		r.waited = time.Since(start)
		close(r.done)
	}()
	synctest.Wait()
	return r
}

func (r *request) want(t *testing.T, err error, waited time.Duration) {
	t.Helper()
	if <-r.done; r.err != err || r.waited != waited {
		t.Errorf("got %v after %v, want %v after %v", r.err, r.waited, err, waited)
	}
}

func newBudget(t *testing.T, limit, longest int64, wait time.Duration) *Budget {
	t.Helper()
	b, err := NewBudget(limit, longest, wait)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fullBudget returns a budget of limit bytes that are all acquired.
func fullBudget(t *testing.T, limit int64) *Budget {
	t.Helper()
	b := newBudget(t, limit, limit, memoryWait)
	if err := b.acquire(t.Context(), limit); err != nil {
		t.Fatal(err)
	}
	return b
}

// checkFree checks that no byte of limit is acquired.
func (b *Budget) checkFree(t *testing.T, limit int64) {
	t.Helper()
	if n := b.Used(); n != 0 || !b.memory.TryAcquire(limit) {
		t.Fatalf("Used returns %d, and not all memory is free", n)
	}
	b.memory.Release(limit)
}

// TestWaitInOrder: messages get memory in order of arrival.
func TestWaitInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fullBudget(t, 100)
		first, second := acquire(t.Context(), b, 100), acquire(t.Context(), b, 100)
		time.Sleep(time.Second)
		b.release(100)
		first.want(t, nil, time.Second)
		time.Sleep(time.Second)
		b.release(100)
		second.want(t, nil, 2*time.Second)
		b.release(100)
		b.checkFree(t, 100)
	})
}

// TestLargeFirst: a small message waits behind a large one, though there is enough memory
// for it. So does one that arrives later. The large one does not starve.
func TestLargeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fullBudget(t, 100)
		large, small := acquire(t.Context(), b, 80), acquire(t.Context(), b, 10)
		time.Sleep(time.Second)
		b.release(50)
		later := acquire(t.Context(), b, 10)
		time.Sleep(time.Second)
		b.release(50)
		large.want(t, nil, 2*time.Second)
		small.want(t, nil, 2*time.Second)
		later.want(t, nil, time.Second)
		b.release(100)
		b.checkFree(t, 100)
	})
}

// TestWaitEnds: a wait ends with the memory wait or with its context, and does not
// begin without a memory wait.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fullBudget(t, 100)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		timesOut, cancelled := acquire(t.Context(), b, 80), acquire(ctx, b, 80)
		time.Sleep(time.Second)
		cancel()
		cancelled.want(t, context.Canceled, time.Second)
		timesOut.want(t, errNoMemory, memoryWait)
		if n := b.Used(); n != 100 {
			t.Errorf("%d bytes are acquired, want 100", n)
		}
		b.release(100)
		next := acquire(t.Context(), b, 100)
		next.want(t, nil, 0)
		b.wait = 0
		acquire(t.Context(), b, 1).want(t, errNoMemory, 0)
		b.release(100)
		b.checkFree(t, 100)
	})
}

// TestPeak: Peak is the largest use since its last call.
func TestPeak(t *testing.T) {
	b := newBudget(t, 100, 100, 0)
	want := func(want int64) {
		t.Helper()
		if got := b.Peak(); got != want {
			t.Errorf("the peak is %d, want %d", got, want)
		}
	}
	want(0)
	for _, n := range []int64{10, 70, -60, 5} {
		if n < 0 {
			b.release(-n)
		} else if err := b.acquire(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	want(80)
	want(25)
	b.release(25)
	want(25)
	want(0)
}

// TestManyMessages: messages of all sizes arrive at random times, some with a known
// length. The bound is kept, each wait ends in time, and no memory is lost. A message of
// known length is not refused if it may wait long enough.
func TestManyMessages(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	if known, unknown := echoMany(t, seed, time.Hour); known != 3000 || unknown == 0 {
		t.Errorf("%d of 3000 messages of known length were echoed though all could wait, and %d others", known, unknown)
	}
	waiting, _ := echoMany(t, seed, memoryWait)
	hasty, _ := echoMany(t, seed, 0)
	if waiting <= hasty {
		t.Errorf("%d messages were echoed, and %d without a wait", waiting, hasty)
	}
}

// echoMany returns how many of 3000 messages of known length were echoed, and how many of
// 1000 others.
func echoMany(t *testing.T, seed uint64, wait time.Duration) (known, unknown int) {
	synctest.Test(t, func(t *testing.T) {
		const limit, longest = 10_000_000, 4 << 20
		b := newBudget(t, limit, longest, wait)
		var all sync.WaitGroup
		var mu sync.Mutex
		for i := range 200 {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			all.Go(func() {
				for j := range 20 {
					size := int64(freeSize) << (2 * r.IntN(5))
					m := message{budget: b}
					start, longestWait, left := time.Now(), time.Duration(0), size
					var reader io.Reader = readFunc(func(p []byte) (int, error) {
						longestWait = max(longestWait, time.Since(start))
						if n := b.Used(); n > limit {
							t.Errorf("%d bytes are acquired", n)
						}
						if left == 0 {
							return 0, io.EOF
						}
						n := min(int64(len(p)), left)
						left -= n
						time.Sleep(rand.N(50 * time.Millisecond))
						start = time.Now()
						return int(n), nil
					})
					if j%4 > 0 {
						reader = announced{reader, size}
					}
					_, err := m.read(t.Context(), reader)
					if longestWait > wait {
						t.Errorf("a message waited for %v", longestWait)
					}
					m.release()
					if err == nil {
						mu.Lock()
						if j%4 > 0 {
							known++
						} else {
							unknown++
						}
						mu.Unlock()
					} else if ending.Of(err).Kind != ending.NoMemory {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		b.checkFree(t, limit)
		t.Logf("with a memory wait of %v, %d of 3000 messages of known length and %d of 1000 others were echoed", wait, known, unknown)
	})
	return known, unknown
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// An announced reader returns the length of its message.
type announced struct {
	io.Reader
	size int64
}

func (a announced) Size() int64 { return a.size }
