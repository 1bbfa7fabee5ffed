package heartbeat

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	// coder/websocket closes the connection if the context of a ping ends while
	// the ping is being written. It allows 5 seconds for the write. So the context must
	// last longer than 5 seconds, however short the Timeout is. step waits for the
	// Timeout.
	pingWriteTimeout = 6 * time.Second

	// For the same reason, Run waits this long for the write of its newest ping before it
	// returns. A close frame may follow.
	pingGrace = 100 * time.Millisecond
)

// Run sends one ping per tick. The first tick is at a random point of the first Interval,
// unless Immediate is set. So connections that began together do not ping in step. Run
// blocks until it has a verdict, which it returns as a [*Verdict]. The caller then closes
// the connection. Run returns nil if ctx ends or the connection is closed, because the
// reader has the reason. Run waits for the goroutines that it started. It then returns at
// once, unless it sent a ping less than 100 ms ago. Such a ping has 100 ms to be written,
// so that cancelling ctx does not damage the connection.
//
// A silent peer is given up no later than
//
//	(MaxMissed+1)*Interval + Timeout
//
// after its last byte, if the pings leave and a Read waits for the answers. The verdict is
// WriteStalled if no ping leaves for so long and there is no sign of life. The time begins
// with the first ping that does not leave. While no Read waits there is no verdict.
//
// After Run has returned nil it may be called again. It then keeps the times of
// the pings.
func (m *Monitor) Run(ctx context.Context, p Pinger) error {
	ctx, ping, wait := m.pingFunc(ctx, p)
	defer wait()

	first := true
	ticker := time.NewTicker(m.start())
	defer ticker.Stop()
	timeout := time.NewTimer(m.untilTimeout())
	defer timeout.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timeout.C:
		case <-ticker.C:
			if first {
				first = false
				ticker.Reset(m.interval)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		due := m.due
		if _, v := m.step(0, ping); v != nil {
			return v
		}
		if !m.due.Equal(due) {
			timeout.Reset(m.timeout)
			if !m.due.Equal(due.Add(m.interval)) { // the ping was late
				ticker.Reset(m.interval)
			}
		}
	}
}

// pingFunc returns two functions: ping sends ping number n to p, and wait waits for its
// goroutines. The context that it returns also ends when a ping finds p closed.
func (m *Monitor) pingFunc(ctx context.Context, p Pinger) (_ context.Context, ping func(n uint64), wait func()) {
	if s, ok := p.(Sender); ok {
		return ctx, func(n uint64) { s.SendPing(pingPayload(n)) }, func() {}
	}
	ctx, closed := context.WithCancel(ctx)
	// The pings end with wait and not with ctx: see pingGrace. Each has a goroutine,
	// because Ping blocks until the pong is received.
	var wg sync.WaitGroup
	pings, stop := context.WithCancel(context.WithoutCancel(ctx))
	return ctx, func(n uint64) { wg.Go(func() { m.ping(pings, p, n, closed) }) }, func() {
		defer closed()
		if d := pingGrace - time.Since(m.began); d > 0 {
			late := time.AfterFunc(d, stop)
			wg.Wait()
			late.Stop()
		}
		stop()
		wg.Wait()
	}
}

// Tick is one step of Run, for an owner of many connections that has one ticker for
// all of them. It evaluates the open round if the round's Timeout has passed. It sends a
// ping if one is due within slack from now. It returns the time to the next step. The
// error is a [*Verdict]; Tick must not be called after it.
//
// An owner whose ticker has the period d keeps Run's bound with a slack of 2d. Then the
// pings leave early enough to offset a late evaluation.
//
// Tick blocks only if SendPing does. It must not be called beside Run or another
// Tick.
func (m *Monitor) Tick(slack time.Duration, s Sender) (next time.Duration, err error) {
	m.start()
	next, v := m.step(slack, func(n uint64) { s.SendPing(pingPayload(n)) })
	if v != nil {
		return 0, v
	}
	return next, nil
}

// pingPayload returns the payload of ping number n where a Sender sends it.
func pingPayload(n uint64) []byte { return strconv.AppendUint([]byte(prefix), n, 10) }

// pingNumber returns n for the payload of ping number n, and 0 for any other payload.
func pingNumber(payload []byte) uint64 {
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

// start starts the Monitor, once, and returns the time to the next ping.
func (m *Monitor) start() time.Duration {
	if m.due.IsZero() {
		m.started = time.Now()
		m.due = m.started
		if !m.immediate {
			m.due = m.due.Add(1 + rand.N(m.interval))
		}
	}
	return max(1, time.Until(m.due))
}

// untilTimeout returns the time to the end of the open round's Timeout.
func (m *Monitor) untilTimeout() time.Duration {
	if !m.open {
		return math.MaxInt64
	}
	return time.Until(m.began.Add(m.timeout))
}

// step evaluates the open round and begins the next, each if it is time. It returns
// the time to the step after it. A round is never evaluated before its Timeout has passed,
// however late step is called.
func (m *Monitor) step(slack time.Duration, sendPing func(n uint64)) (next time.Duration, v *Verdict) {
	if m.open {
		if left := m.untilTimeout(); left > 0 {
			return left, nil
		}
		if v := m.evaluate(); v != nil {
			return 0, v
		}
	}
	if left := time.Until(m.due) - slack; left > 0 {
		return left, nil
	}
	if n := m.begin(); n > 0 {
		sendPing(n)
	}
	return m.timeout, nil
}

// begin begins a round and returns the number of its ping. It returns 0 for no ping
// if a write is stalled: the ping would only wait behind it.
func (m *Monitor) begin() uint64 {
	_, life := m.observe()
	writing := m.transport != nil && m.transport.Writing()

	m.mu.Lock()
	defer m.mu.Unlock()
	if life {
		if m.missed > 0 {
			m.stats.Late++
		}
		m.missed, m.stalled = 0, 0
	}
	m.began, m.open = time.Now(), true
	m.due = m.due.Add(m.interval)
	if early := m.due.Sub(m.began); early > m.interval || early < m.interval-m.interval/lateDivisor {
		m.due = m.began.Add(m.interval)
	}
	m.pinged, m.waiting, m.failed = !writing, !writing, false
	if writing {
		m.stats.State = WriteStalled
		return 0
	}
	m.unanswered++
	m.stats.Sent++
	return m.stats.Sent
}

// lateDivisor: a ping that is late by at most Interval/lateDivisor does not delay the
// next one. After a longer delay the schedule starts anew. Otherwise several pings would
// be sent at once.
const lateDivisor = 20

// ping sends ping number n. If the connection is closed, it calls closed.
func (m *Monitor) ping(ctx context.Context, p Pinger, n uint64, closed func()) {
	ctx, cancel := context.WithTimeout(ctx, max(m.timeout, pingWriteTimeout))
	defer cancel()
	switch err := p.Ping(ctx); {
	case err == nil:
		m.pong(n)
	case errors.Is(err, net.ErrClosed):
		closed()
	case ctx.Err() == nil:
		// The ping could not be written. This is true of context.DeadlineExceeded too: the
		// deadline was coder/websocket's own.
		m.mu.Lock()
		defer m.mu.Unlock()
		m.failed = m.failed || n == m.stats.Sent
	}
}

// pong records a pong: that of ping number n, or of any ping if n is 0.
func (m *Monitor) pong(n uint64) {
	now := time.Now()
	var left time.Time
	if m.transport != nil {
		left = m.transport.PingSent()
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	m.received = now
	if n > m.stats.Sent {
		n = 0 // it was never sent
	}
	if n > 0 && n < m.stats.Sent {
		return
	}
	if m.waiting {
		m.waiting = false
		// If an earlier ping is unanswered too, the pong may be that one's.
		if n > 0 || m.unanswered == 1 {
			if left.Before(m.began) {
				left = m.began
			}
			m.rtt.add(max(0, now.Sub(left)))
		}
		if m.open {
			m.missed, m.stalled = 0, 0
			m.stats.Answered++
			m.stats.State = Alive
		}
	}
	m.unanswered = max(0, m.unanswered-1)
	if n > 0 {
		m.unanswered = 0 // pongs arrive in order: no older one will follow
	}
}

// observe returns the time of the last sign of life, and whether there was one in this
// round.
func (m *Monitor) observe() (received time.Time, life bool) {
	received = m.lastReceived()
	life = received.After(m.began)
	if m.transport != nil {
		if unsent := m.transport.Unsent(); unsent >= 0 {
			life = life || unsent < m.unsent
			m.unsent = unsent
		}
	}
	return received, life
}

// evaluate closes a round whose Timeout has passed. It returns a *Verdict if the peer is
// given up.
func (m *Monitor) evaluate() *Verdict {
	// The pong has too little time if the ping left, or the Read began, after half of the
	// Timeout.
	half := m.began.Add(m.timeout / 2)
	var notSent, writing, unread bool
	if e := m.transport; e != nil {
		left, reading := e.PingSent(), e.ReadingSince()
		writing = e.Writing()
		notSent = left.Before(m.began) || left.After(half) || e.Unsent() > 0
		unread = reading.IsZero() || reading.After(half)
	}
	received, life := m.observe() // last: any sign of life is decisive

	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = false
	switch {
	case m.pinged && !m.waiting:
		return nil // pong has counted it
	case life:
		m.missed, m.stalled = 0, 0
		if m.pinged {
			m.stats.Late++
			m.stats.State = Late
		} else if !writing {
			m.stats.State = Alive
		}
		return nil
	case notSent || m.failed || !m.pinged:
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
	since := received
	if since.IsZero() {
		since = m.started
	}
	return &Verdict{State: m.stats.State, LastReceived: received, Silent: time.Since(since), Missed: m.missed}
}
