package server

import "sync"

// A latch is set once, and is waited for by few: the channel is made only for
// them. The zero latch is not set.
type latch struct {
	mu  sync.Mutex
	set bool
	ch  chan struct{} // nil while nobody has asked
}

func (l *latch) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set {
		return
	}
	l.set = true
	if l.ch != nil {
		close(l.ch)
	}
}

// done is closed when l is set.
func (l *latch) done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ch == nil {
		l.ch = make(chan struct{})
		if l.set {
			close(l.ch)
		}
	}
	return l.ch
}
