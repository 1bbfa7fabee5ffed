package heartbeat

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"example.com/wsecho/ending"
)

// A State is the state of the peer, as the Monitor observes it.
type State uint8

const (
	Alive        State = iota // it answered the last ping in time, or none has been due yet
	Late                      // its pong is overdue, but the peer is not given up
	WriteStalled              // no ping can be sent; the peer may live
	Dead                      // given up: MaxMissed was exceeded
)

// String returns the state's name, in lower case.
func (s State) String() string {
	switch s {
	case Alive:
		return "alive"
	case Late:
		return "late"
	case WriteStalled:
		return "write stalled"
	case Dead:
		return "dead"
	}
	return "state " + strconv.Itoa(int(s))
}

// A Verdict is the error by which a Monitor gives a peer up. [errors.As] finds
// an [*ending.Error] in it, of kind [ending.NoPong] or [ending.WriteStalled].
type Verdict struct {
	State        State         // Dead or WriteStalled
	LastReceived time.Time     // zero: never
	Silent       time.Duration // from LastReceived, or else from the start of Run, to the verdict
	Missed       int           // misses in a row
}

// Error returns the kind of ending and the silence that led to it.
func (v *Verdict) Error() string { return "heartbeat: " + v.Unwrap().Error() }

// Unwrap returns the verdict as an [*ending.Error]. Its Reason is for the close
// frame.
func (v *Verdict) Unwrap() error {
	silent := v.Silent.Round(time.Millisecond)
	if v.State == WriteStalled {
		return &ending.Error{Kind: ending.WriteStalled,
			Reason: fmt.Sprintf("no ping could be sent, nothing received for %v", silent)}
	}
	return &ending.Error{Kind: ending.NoPong,
		Reason: fmt.Sprintf("pings missed in a row: %d, nothing received for %v", v.Missed, silent)}
}

// Timeout returns true, for net.Error: the wait for the peer timed out.
func (v *Verdict) Timeout() bool { return true }

// Stats are the counts of one Monitor since it was made. A ping is counted as answered,
// late, missed, unread or stalled when its Timeout has passed. A ping may be counted as
// missed and then as late too.
type Stats struct {
	State        State
	LastReceived time.Time // the last sign of life; zero: none
	RTT          RTT

	Sent     uint64 // pings passed to the Pinger or Sender
	Answered uint64 // a pong was in time
	Late     uint64 // another sign of life than the pong was in time; or any followed a miss, before the next ping
	Missed   uint64 // no sign of life was in time
	Unread   uint64 // no Read was waiting when the pong could have arrived
	Stalled  uint64 // it did not leave, or was not sent because a write was stalled
}

// RTT is the round-trip time of pings, including pongs after the Timeout. With a
// TransportState it begins when the ping leaves. Otherwise it begins when the ping is sent
// to the Pinger. A pong that may answer an earlier ping does not count.
type RTT struct {
	Count                uint64 // of pongs measured; 0: the other fields are 0
	Last, Min, Mean, Max time.Duration
	Deviation            time.Duration // standard deviation of the sample; 0 for fewer than 2
}

// Stats returns the counts as they are now. It may be called concurrently and costs
// about as much as reading the clock.
func (m *Monitor) Stats() Stats {
	received := m.lastReceived()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.LastReceived = received
	s.RTT = m.rtt.stats()
	return s
}

func (m *Monitor) lastReceived() time.Time {
	var last time.Time
	if m.transport != nil {
		last = m.transport.LastReceived()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.received.After(last) {
		last = m.received
	}
	return last
}

// welford keeps a mean and a variance without the samples (Welford's algorithm). A sum of
// squares would lose precision.
type welford struct {
	n              uint64
	last, min, max time.Duration
	mean, m2       float64 // m2: sum of the squared distances from the mean
}

func (w *welford) add(d time.Duration) {
	if w.n == 0 {
		w.min = d
	}
	w.n++
	w.last, w.min, w.max = d, min(w.min, d), max(w.max, d)
	delta := float64(d) - w.mean
	w.mean += delta / float64(w.n)
	w.m2 += delta * (float64(d) - w.mean)
}

func (w *welford) stats() RTT {
	r := RTT{Count: w.n, Last: w.last, Min: w.min, Mean: time.Duration(w.mean), Max: w.max}
	if w.n > 1 {
		r.Deviation = time.Duration(math.Sqrt(w.m2 / float64(w.n-1)))
	}
	return r
}
