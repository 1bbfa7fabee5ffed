package server

import "time"

// Parked returns the number of parked connections.
func (s *Server) Parked() int {
	p := s.parker.Load()
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// SetDrainTimeout sets a drain timeout that may be shorter than the DrainNotice. It must
// be called before the server has a connection.
func (s *Server) SetDrainTimeout(d time.Duration) { s.opts.DrainTimeout = d }

// UsedSlots returns the number of connections and of handshakes in progress.
func (s *Server) UsedSlots() int { return s.usedSlots() }

// Draining reports whether a drain has begun.
func (s *Server) Draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// FireIdleTimer calls the function of the idle timer, as a timer does that fires late. It
// reports whether the timer is set then, and stops it. It must not be called before the
// connection has ended.
func (c *Conn) FireIdleTimer() (set bool) {
	t := c.timers[len(c.timers)-1]
	c.onIdleTimer(t)
	return t.Stop()
}
