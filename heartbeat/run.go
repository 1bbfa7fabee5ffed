package heartbeat

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
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

	// A goroutine of its own for each ping, as writing and waiting in it would
	// make Run's stack grow for good.
	ping := func(n uint64) { wg.Go(func() { m.ping(pings, p, n, over) }) }
	due := time.NewTimer(m.first())
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-due.C:
		}
		if ctx.Err() != nil {
			return nil
		}
		next, v := m.step(ping)
		if v != nil {
			return v
		}
		due.Reset(next)
	}
}

// Beat is Run in steps, for who has thousands of connections and no goroutine to
// spare for each: it does what is due, and says in how long it is to be called
// again. It does not wait. The first call only says when to ask for the first
// time. The error is the [*Verdict], after which Beat is not called any more.
//
// ping sends a ping with that payload, of at most 125 bytes, and does not wait for
// the write nor for the pong; OnPong must be given the payload of each pong.
//
// Beat is called by one goroutine at a time, and not on a Monitor that runs.
func (m *Monitor) Beat(ping func(payload []byte)) (next time.Duration, err error) {
	if m.started.IsZero() {
		return m.first(), nil
	}
	next, v := m.step(func(n uint64) { ping(payload(n)) })
	if v != nil {
		return 0, v
	}
	return next, nil
}

// payload is that of ping number n where Beat sends it, and number is n for it, 0
// for what nobody has sent.
func payload(n uint64) []byte { return strconv.AppendUint([]byte(prefix), n, 10) }

func number(payload []byte) uint64 {
	digits, ok := bytes.CutPrefix(payload, []byte(prefix))
	if !ok || len(digits) > 20 {
		return 0
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

const prefix = "beat "

// first begins it all, and is the time to the first round.
func (m *Monitor) first() time.Duration {
	m.started = time.Now()
	return 1 + rand.N(m.interval)
}

// step weighs the round that is open, or begins the next, and returns the time to
// the step after it. A round is weighed no sooner than its Timeout after the ping,
// however late the steps come.
func (m *Monitor) step(ping func(n uint64)) (next time.Duration, v *Verdict) {
	if m.open {
		if v := m.weigh(); v != nil {
			return 0, v
		}
		if next := time.Until(m.asked.Add(m.interval)); next > 0 {
			return next, nil
		}
	}
	if n := m.begin(); n > 0 {
		ping(n)
	}
	return m.timeout, nil
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
	if n > m.stats.Sent {
		n = 0 // nobody has sent that
	}
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
		if unsent := m.evidence.Unsent(); unsent >= 0 {
			life = life || unsent < m.unsent
			m.unsent = unsent
		}
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
