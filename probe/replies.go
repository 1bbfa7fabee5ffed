package probe

import (
	"math"
	"time"
)

// Replies are the counts of pings or messages, and their round-trip times. Sent is the sum
// of Received, Lost and Pending.
type Replies struct {
	Sent     int
	Received int // replies, with the late ones
	Late     int // replies after the Timeout
	Lost     int // without a reply within the Timeout or later
	Pending  int // without a reply when the connection ended, within the Timeout

	// The round-trip times of the replies, with the late ones. They are zero without a
	// reply.
	Min, Mean, Max time.Duration
	Deviation      time.Duration // standard deviation of the sample; 0 for fewer than 2
	Jitter         time.Duration // mean difference between one reply and the next

	last     time.Duration
	mean, m2 float64 // Welford's algorithm: m2 is the sum of the squared distances
	jitter   float64
}

// add adds the round-trip time of a reply.
func (r *Replies) add(d time.Duration) {
	r.Received++
	n := float64(r.Received)
	if r.Received == 1 {
		r.Min = d
	} else {
		r.jitter += (math.Abs(float64(d-r.last)) - r.jitter) / (n - 1)
	}
	r.last, r.Min, r.Max = d, min(r.Min, d), max(r.Max, d)
	delta := float64(d) - r.mean
	r.mean += delta / n
	r.m2 += delta * (float64(d) - r.mean)
	r.Mean, r.Jitter = time.Duration(r.mean), time.Duration(r.jitter)
	if r.Received > 1 {
		r.Deviation = time.Duration(math.Sqrt(r.m2 / (n - 1)))
	}
}
