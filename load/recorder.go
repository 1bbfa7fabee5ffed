package load

import (
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A recorder records latencies. It has one shard for each processor, so that connections
// rarely wait for each other. A shard for each connection would need 200 KiB each.
type recorder struct {
	shards []shard
	total  *hdrhistogram.Histogram // what collect has collected
}

type shard struct {
	mu      sync.Mutex
	latency *hdrhistogram.Histogram
	count   int64    // messages that came back in the measured time
	_       [64]byte // keeps two shards out of one cache line
}

// longest is the greatest latency of the histogram. Greater ones count as this one.
const longest = time.Hour

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(longest), 3)
}

func newRecorder() *recorder {
	r := &recorder{shards: make([]shard, runtime.GOMAXPROCS(0)), total: newHistogram()}
	for i := range r.shards {
		r.shards[i].latency = newHistogram()
	}
	return r
}

func (r *recorder) shard(conn int) *shard { return &r.shards[conn%len(r.shards)] }

// record records n messages of one latency. The caller holds p.mu.
func (p *shard) record(latency time.Duration, n int) {
	// The only error is a value out of range.
	_ = p.latency.RecordValues(int64(min(max(latency, 0), longest)), int64(n))
}

// collect moves the new latencies to total and returns them.
func (r *recorder) collect() *hdrhistogram.Histogram {
	fresh := newHistogram()
	for i := range r.shards {
		p := &r.shards[i]
		p.mu.Lock()
		if p.latency.TotalCount() > 0 {
			fresh.Merge(p.latency)
			p.latency.Reset()
		}
		p.mu.Unlock()
	}
	r.total.Merge(fresh)
	return fresh
}

// count returns the number of messages echoed in the measured time.
func (r *recorder) count() int64 {
	var n int64
	for i := range r.shards {
		p := &r.shards[i]
		p.mu.Lock()
		n += p.count
		p.mu.Unlock()
	}
	return n
}

// A Latency is the time from a message to its echo. In an open loop it counts from when a
// message was due. In a closed loop it counts from when it could be sent.
type Latency struct {
	Min  time.Duration `json:"min_ns"`
	Mean time.Duration `json:"mean_ns"`
	P50  time.Duration `json:"p50_ns"`
	P90  time.Duration `json:"p90_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"`
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) }
	return Latency{
		Min: time.Duration(h.Min()), Mean: time.Duration(h.Mean()), Max: time.Duration(h.Max()),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9),
	}
}
