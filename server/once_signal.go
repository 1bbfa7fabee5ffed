package server

import "sync"

// A onceSignal is set at most once. The first call of done makes its channel. The zero
// onceSignal is not set.
type onceSignal struct {
	mu    sync.Mutex
	isSet bool
	ch    chan struct{} // nil until done is called
}

func (s *onceSignal) set() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isSet {
		return
	}
	s.isSet = true
	if s.ch != nil {
		close(s.ch)
	}
}

// done returns a channel that is closed when s is set.
func (s *onceSignal) done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
		if s.isSet {
			close(s.ch)
		}
	}
	return s.ch
}
