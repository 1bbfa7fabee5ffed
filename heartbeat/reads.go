package heartbeat

import (
	"context"
	"sync/atomic"
	"time"
)

// Reads is a [TransportState] for a reader that pauses, such as one that prints messages to
// a slow output. A ping is no miss if no Read waited for its pong. Reads does not know what
// the transport has received or sent. The zero value is ready to use: no Read waits. Its
// methods may be called concurrently.
//
//	var reads heartbeat.Reads
//	m, err := heartbeat.New(heartbeat.Options{TransportState: &reads})
//	// for each Read:
//	reads.Waiting(true)
//	typ, p, err := conn.Read(ctx)
//	reads.Waiting(false)
//	// meanwhile:
//	err = m.Run(ctx, reads.Pinger(conn))
type Reads struct {
	since  atomic.Pointer[time.Time] // nil: no Read waits
	pinged atomic.Pointer[time.Time] // nil: never
}

// Waiting records whether a Read waits for the peer from now on.
func (r *Reads) Waiting(waits bool) {
	if !waits {
		r.since.Store(nil)
		return
	}
	now := time.Now()
	r.since.Store(&now)
}

// Pinger returns a Pinger for Run. It sends the pings of p, and records when.
func (r *Reads) Pinger(p Pinger) Pinger { return readsPinger{r, p} }

type readsPinger struct {
	reads *Reads
	p     Pinger
}

func (p readsPinger) Ping(ctx context.Context) error {
	now := time.Now()
	p.reads.pinged.Store(&now)
	return p.p.Ping(ctx)
}

// LastReceived returns the zero time. OnPing, OnPong and Received report the signs of life.
func (r *Reads) LastReceived() time.Time { return time.Time{} }

// ReadingSince returns the time of the last call of Waiting.
func (r *Reads) ReadingSince() time.Time { return timeAt(&r.since) }

// PingSent returns the time of the newest call of Ping. A ping counts as sent at once.
func (r *Reads) PingSent() time.Time { return timeAt(&r.pinged) }

// Unsent returns -1.
func (r *Reads) Unsent() int { return -1 }

// Writing returns false.
func (r *Reads) Writing() bool { return false }

func timeAt(p *atomic.Pointer[time.Time]) time.Time {
	if t := p.Load(); t != nil {
		return *t
	}
	return time.Time{}
}
