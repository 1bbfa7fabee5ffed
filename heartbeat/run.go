package heartbeat

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	// coder/websocket closes the connection if the context of a ping ends while
	// the ping is being written, for which it allows 5 seconds itself. So the
	// context has to outlast those, however short the Timeout, which Run waits for
	// on its own; and a pong with another payload, which Ping does not know, must
	// not end it either.
	patience = 6 * time.Second

	// For the same reason a Run that is to return leaves a ping which it has only
	// just sent this long to be written. What follows may be a close frame.
	settle = 100 * time.Millisecond
)

// Run sends the pings, the first at a random point of the first Interval, so
// that connections made together do not ping in step. It blocks until ctx is
// over or the connection is closed, which both give nil, as the reader knows the
// reason; or until it has a verdict, which it returns as a [*Verdict]. To close
// the connection is then for the caller. Run waits for the goroutines that it
// started: it returns at once, save that a ping asked for less than 100 ms ago has
// the rest of them to be written, so that cancelling ctx does not hurt the
// connection. A Monitor is run once.
//
// A peer that falls silent is given up no later than
//
//	(MaxMissed+1)*Interval + Timeout
//
// after it was last heard, if the pings leave and a Read waits for the answers.
// If the pings do not leave for so long, counted from the first of them, and no
// sign of life comes meanwhile, the verdict is WriteStalled. While nobody reads
// there is no verdict.
func (m *Monitor) Run(ctx context.Context, p Pinger) error {
	ctx, over := context.WithCancel(ctx)
	defer over()

	// The pings do not end with ctx, but here.
	var wg sync.WaitGroup
	pings, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if d := settle - time.Since(m.asked); d > 0 {
			late := time.AfterFunc(d, stop)
			wg.Wait()
			late.Stop()
		}
		stop()
		wg.Wait()
	}()

	m.started = time.Now()
	tick := time.NewTicker(1 + rand.N(m.interval))
	defer tick.Stop()
	due := time.NewTimer(m.timeout)
	due.Stop()
	defer due.Stop()
	for {
		ticked := false
		select {
		case <-ctx.Done():
		case <-due.C:
		case <-tick.C:
			ticked = true
		}
		if ctx.Err() != nil {
			return nil
		}
		// A tick finds the round before it weighed, unless both are due at once.
		if m.open {
			if v := m.weigh(); v != nil {
				return v
			}
		}
		if !ticked {
			continue
		}
		if m.asked.IsZero() {
			tick.Reset(m.interval)
		}
		// A goroutine of its own for each ping, as writing and waiting in it
		// would make Run's stack grow for good.
		if n := m.begin(); n > 0 {
			wg.Go(func() { m.ping(pings, p, n, over) })
		}
		due.Reset(m.timeout)
	}
}

// begin begins a round and returns the number of the ping to send in it, 0 for
// none: behind a write that is stuck a ping would only wait.
func (m *Monitor) begin() uint64 {
	_, life := m.look()
	writing := m.evidence != nil && m.evidence.Writing()

	m.mu.Lock()
	defer m.mu.Unlock()
	if life {
		if m.missed > 0 {
			m.stats.Late++
		}
		m.missed, m.stalled = 0, 0
	}
	m.asked, m.open = time.Now(), true
	m.pinged, m.waiting, m.failed = !writing, !writing, false
	if writing {
		m.stats.State = WriteStalled
		return 0
	}
	m.owed++
	m.stats.Sent++
	return m.stats.Sent
}

// ping sends ping number n. If the connection is found closed, it calls over.
func (m *Monitor) ping(ctx context.Context, p Pinger, n uint64, over func()) {
	ctx, cancel := context.WithTimeout(ctx, max(m.timeout, patience))
	defer cancel()
	switch err := p.Ping(ctx); {
	case err == nil:
		m.pong(n)
	case errors.Is(err, net.ErrClosed):
		over()
	case ctx.Err() == nil:
		// It could not be written. Even if err is context.DeadlineExceeded: the
		// deadline was not this one but coder/websocket's own.
		m.mu.Lock()
		defer m.mu.Unlock()
		m.failed = m.failed || n == m.stats.Sent
	}
}

// pong notes a pong: the one that ping number n waited for, or any if n is 0.
func (m *Monitor) pong(n uint64) {
	now := time.Now()
	var left time.Time
	if m.evidence != nil {
		left = m.evidence.PingLeft()
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = now
	if n > 0 && n < m.stats.Sent {
		return
	}
	if m.waiting {
		m.waiting = false
		// While an earlier ping is unanswered too, the pong may be that one's.
		if n > 0 || m.owed == 1 {
			if left.Before(m.asked) {
				left = m.asked
			}
			m.rtt.add(max(0, now.Sub(left)))
		}
		if m.open {
			m.missed, m.stalled = 0, 0
			m.stats.Answered++
			m.stats.State = Alive
		}
	}
	m.owed = max(0, m.owed-1)
	if n > 0 {
		m.owed = 0 // pongs come in order: an older one will not come any more
	}
}

// look returns when the peer was last heard, and whether there was a sign of
// life in this round.
func (m *Monitor) look() (heard time.Time, life bool) {
	heard = m.lastHeard()
	life = heard.After(m.asked)
	if m.evidence != nil {
		unsent := m.evidence.Unsent()
		life = life || unsent < m.unsent
		m.unsent = unsent
	}
	return heard, life
}

// weigh decides, when the Timeout has passed, what a round tells of the peer. It
// returns nil unless that is the end.
func (m *Monitor) weigh() *Verdict {
	// A ping that left, or a reader that came, in the second half of the Timeout
	// only gave the answer too little time.
	half := m.asked.Add(m.timeout / 2)
	var stuck, writing, unread bool
	if e := m.evidence; e != nil {
		left, reading := e.PingLeft(), e.ReadingSince()
		writing = e.Writing()
		stuck = left.Before(m.asked) || left.After(half) || e.Unsent() > 0
		unread = reading.IsZero() || reading.After(half)
	}
	heard, life := m.look() // last, for any sign of life outweighs the rest

	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = false
	switch {
	case m.pinged && !m.waiting:
		return nil // pong has noted it
	case life:
		m.missed, m.stalled = 0, 0
		if m.pinged {
			m.stats.Late++
			m.stats.State = Late
		} else if !writing {
			m.stats.State = Alive
		}
		return nil
	case stuck || m.failed || !m.pinged:
		m.stats.Stalled++
		m.stats.State = WriteStalled
		m.stalled++
		if m.stalled-1 <= m.maxMissed {
			return nil
		}
	case unread:
		m.stats.Unread++
		m.stats.State = Late
		m.stalled = 0
		return nil
	default:
		m.stats.Missed++
		m.stats.State = Late
		m.stalled = 0
		m.missed++
		if m.missed <= m.maxMissed {
			return nil
		}
		m.stats.State = Dead
	}
	since := heard
	if since.IsZero() {
		since = m.started
	}
	return &Verdict{State: m.stats.State, LastHeard: heard, Silent: time.Since(since), Missed: m.missed}
}
