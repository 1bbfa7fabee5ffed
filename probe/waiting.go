package probe

import "time"

// A waiting is a ping or a message without a reply.
type waiting struct {
	seq     int
	sent    time.Time
	overdue bool
	timer   *time.Timer
	replied chan struct{}
}

// await counts something that was sent. Its timer reports that it is overdue. The caller
// holds s.mu.
func (s *session) await(echo bool, seq int, now time.Time) *waiting {
	p := &waiting{seq: seq, sent: now, replied: make(chan struct{})}
	s.w.mu.Lock()
	s.w.result.replies(echo).Sent++
	s.w.mu.Unlock()
	p.timer = time.AfterFunc(s.w.o.Connect.Timeout, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case <-p.replied:
			return
		default:
		}
		if !s.finished {
			s.expire(p, echo)
			s.finishIfDone()
		}
	})
	return p
}

// expire counts a ping or a message without a reply as lost. The caller holds s.mu.
func (s *session) expire(p *waiting, echo bool) {
	if p.overdue {
		return
	}
	p.overdue = true
	s.w.emit(Event{Type: Missing, Echo: echo, Seq: p.seq}, func(r *Watched) { r.replies(echo).Lost++ })
}

// expireMissed expires the pings that the verdict no pong is about. The heartbeat's timeout
// begins shortly before that of a ping, so the verdict may come first.
func (s *session) expireMissed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	least := s.w.o.Connect.Timeout * 9 / 10
	for _, p := range s.pings {
		if time.Since(p.sent) > least {
			s.expire(p, false)
		}
	}
	for _, p := range s.echoes {
		if time.Since(p.sent) > least {
			s.expire(p, true)
		}
	}
}

// replies returns the counts of messages or pings.
func (r *Watched) replies(echo bool) *Replies {
	if echo {
		return &r.Echoes
	}
	return &r.Pings
}

// replied records a reply. The caller holds s.mu.
func (s *session) replied(p *waiting, echo bool, now time.Time) {
	if s.finished {
		return
	}
	p.timer.Stop()
	close(p.replied)
	rtt := max(0, now.Sub(p.sent))
	s.w.emit(Event{Type: Replied, Echo: echo, Seq: p.seq, RTT: rtt, Late: p.overdue}, func(r *Watched) {
		replies := r.replies(echo)
		replies.add(rtt)
		if p.overdue {
			replies.Late++
			replies.Lost--
		}
	})
	s.finishIfDone()
}

// finishIfDone closes s.done when all pings were sent and none can be answered in time any
// more. The caller holds s.mu.
func (s *session) finishIfDone() {
	if !s.completed() || s.expects(s.pings, false) || s.expects(s.echoes, true) {
		return
	}
	select {
	case <-s.done:
	default:
		close(s.done)
	}
}

// expects reports whether a reply may still come. If replies have been late, it waits for
// twice the longest round-trip time. Otherwise late replies would count as lost. The caller
// holds s.mu.
func (s *session) expects(all map[string]*waiting, echo bool) bool {
	s.w.mu.Lock()
	limit := 2 * s.w.result.replies(echo).Max
	s.w.mu.Unlock()
	more := false
	for _, p := range all {
		if !p.overdue {
			more = true
			continue
		}
		if left := limit - time.Since(p.sent); limit > 2*s.w.o.Connect.Timeout && left > 0 {
			more = true
			p.timer.Reset(left) // its function calls finishIfDone again
		}
	}
	return more
}

// abandon counts what has no reply at the end of the connection.
func (s *session) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, p := range s.pings {
		p.timer.Stop()
		if !p.overdue {
			s.w.result.Pings.Pending++
		}
	}
	for _, p := range s.echoes {
		p.timer.Stop()
		if !p.overdue {
			s.w.result.Echoes.Pending++
		}
	}
}
