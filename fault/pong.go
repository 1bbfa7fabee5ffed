package fault

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// A pongMode is how pings are answered.
type pongMode uint8

const (
	pongRight pongMode = iota
	pongOff
	pongCount // some, and then none
	pongLate
	pongOther // with another payload
)

type pongPlan struct {
	mode pongMode
	n    int
	late time.Duration
}

func parsePong(s string) (p pongPlan, ok bool) {
	if late, is := strings.CutPrefix(s, "late:"); is {
		d, ok := duration(late, time.Millisecond, maxTime)
		return pongPlan{mode: pongLate, late: d}, ok
	}
	switch s {
	case "off":
		return pongPlan{mode: pongOff}, true
	case "other":
		return pongPlan{mode: pongOther}, true
	}
	n, ok := count(s, 1, maxCount)
	return pongPlan{mode: pongCount, n: n}, ok
}

// pongs are the late pongs of one connection. The zero value has none.
type pongs struct {
	mu      sync.Mutex
	stopped bool
	timers  map[*time.Timer]struct{}
}

// maxLate is the most late pongs that one connection keeps. Further pings get none.
const maxLate = 64

// hook returns the Pong of server.ConnOptions.
func (l *pongs) hook(p pongPlan) func(ping []byte, send func([]byte)) {
	switch p.mode {
	case pongCount:
		left := p.n // only the reader calls the hook
		return func(ping []byte, send func([]byte)) {
			if left > 0 {
				left--
				send(ping)
			}
		}
	case pongLate:
		return func(ping []byte, send func([]byte)) { l.later(p.late, bytes.Clone(ping), send) }
	case pongOther:
		return func(ping []byte, send func([]byte)) { send(otherPayload(ping)) }
	}
	return func([]byte, func([]byte)) {}
}

// otherPayload returns a payload that differs from that of the ping.
func otherPayload(ping []byte) []byte {
	if len(ping) == 0 {
		return []byte("other")
	}
	p := bytes.Clone(ping)
	p[0] ^= 1
	return p
}

// later sends a pong later, unless stop is called before.
func (l *pongs) later(d time.Duration, payload []byte, send func([]byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || len(l.timers) >= maxLate {
		return
	}
	if l.timers == nil {
		l.timers = make(map[*time.Timer]struct{})
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		l.mu.Lock() // waits until t is set
		_, waits := l.timers[t]
		delete(l.timers, t)
		l.mu.Unlock()
		if waits {
			send(payload)
		}
	})
	l.timers[t] = struct{}{}
}

// stop forgets the late pongs.
func (l *pongs) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	for t := range l.timers {
		t.Stop()
	}
	l.timers = nil
}
