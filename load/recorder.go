package load

import (
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A recorder takes what connections have to say. It is in parts, so that they do not
// wait for each other, but not one for each connection: a histogram takes 200 KiB.
type recorder struct {
	parts []part
	total *hdrhistogram.Histogram // of what was taken out of the parts
}

type part struct {
	mu      sync.Mutex
	latency *hdrhistogram.Histogram
	count   int64    // messages that came back in time to count
	_       [64]byte // a cache line of its own
}

// longest is the greatest latency that is told from greater ones.
const longest = time.Hour

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(longest), 3)
}

func newRecorder() *recorder {
	r := &recorder{parts: make([]part, runtime.GOMAXPROCS(0)), total: newHistogram()}
	for i := range r.parts {
		r.parts[i].latency = newHistogram()
	}
	return r
}

func (r *recorder) part(conn int) *part { return &r.parts[conn%len(r.parts)] }

// record is for n messages of one latency; p.mu is held.
func (p *part) record(latency time.Duration, n int) {
	// The value is in range, which is all that could be wrong with it.
	_ = p.latency.RecordValues(int64(min(max(latency, 0), longest)), int64(n))
}

// take moves what is new into the total, and returns it.
func (r *recorder) take() *hdrhistogram.Histogram {
	fresh := newHistogram()
	for i := range r.parts {
		p := &r.parts[i]
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

// count is how many messages came back in time to count.
func (r *recorder) count() int64 {
	var n int64
	for i := range r.parts {
		p := &r.parts[i]
		p.mu.Lock()
		n += p.count
		p.mu.Unlock()
	}
	return n
}

// A Latency is how long messages took to come back: from when they were due with a
// rate, and from when they could be sent without.
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
