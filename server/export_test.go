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

// Draining reports whether a drain has begun.
func (s *Server) Draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}
