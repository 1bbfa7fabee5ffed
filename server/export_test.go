package server

import "time"

// RestAfter makes connections of a Stateless handler rest so soon.
func (s *Server) RestAfter(d time.Duration) { s.restAfter = d }
