// Package listener limits the connections of an HTTP server that have not upgraded to
// WebSocket. They are in a handshake or use plain HTTP. It also derives limits from the
// number of files that the process may have open.
//
//	l := listener.New(inner, log, func() int { return 100 })
//	hs := &http.Server{Handler: h, ConnState: l.ConnState}
//	hs.Serve(l)
//
// The handler h calls Begin when it starts to answer a request, and End afterwards.
package listener

import (
	"container/list"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync"
	"time"
)

// Listener is a net.Listener with a limit on pending connections. If the limit is
// reached, Accept evicts the oldest pending connection that waits for its peer. A
// connection waits for its peer unless a handler is answering one of its requests. So a
// peer cannot keep a slot. It may send no request, a part of one, one without its body, or
// many.
//
// If the process or the system has no descriptors left, Accept tries again. The log
// gets one line at the beginning of such an outage and one at its end.
type Listener struct {
	net.Listener
	// OnMistake is called for a Mistake, before the answer of net/http. It may be called
	// concurrently. Set it before Accept. Nil: not called.
	OnMistake func(remote net.Addr, m Mistake)

	log   *slog.Logger
	limit func() int

	freed  chan struct{} // has a value if a pending connection has ended or been answered
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	pending map[net.Conn]*list.Element
	order   list.List // of *pendingConn, the oldest first

	outage outage
}

// pendingConn is a connection that has not upgraded.
type pendingConn struct {
	conn      net.Conn
	accepted  time.Time
	answering int       // requests that a handler is answering; HTTP/2 may have several
	quiet     time.Time // since when there is none
}

// A connection has some time for its handshake before it can be evicted. That time decides
// how long the others wait. If attackers have n connections more than there are slots, a
// connection waits n*agePerSlot for its slot.
const (
	agePerSlot    = 400 * time.Microsecond
	leastAge      = 20 * time.Millisecond
	greatestAge   = time.Second
	answeringPoll = 10 * time.Millisecond // the wait if nothing can be evicted
)

// minAge returns the age from which on a connection may be evicted if limit are pending.
func minAge(limit int) time.Duration {
	return min(greatestAge, max(leastAge, time.Duration(limit)*agePerSlot))
}

// New returns a Listener that accepts from inner. It calls limit for each connection; the
// result is how many may be pending.
func New(inner net.Listener, log *slog.Logger, limit func() int) *Listener {
	return &Listener{
		Listener: inner,
		log:      log,
		limit:    limit,
		freed:    make(chan struct{}, 1),
		closed:   make(chan struct{}),
		pending:  make(map[net.Conn]*list.Element),
		outage:   outage{log: log},
	}
}

// Accept blocks until there is a connection and the limit allows it. After a hijack, use
// Unwrap.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.acceptRetry()
	if err != nil {
		return nil, err
	}
	for {
		wait := l.makeRoom()
		if wait == 0 {
			if tcp, ok := c.(*net.TCPConn); ok && l.OnMistake != nil {
				c = &watchedConn{TCPConn: tcp, l: l}
			}
			return c, nil
		}
		if l.sleep(wait, l.freed) {
			_ = c.Close()
			return nil, net.ErrClosed
		}
	}
}

// sleep waits for d or for a value from early. It reports whether the listener is
// closed.
func (l *Listener) sleep(d time.Duration, early <-chan struct{}) (closed bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
	case <-l.closed:
		return true
	}
	return false
}

// makeRoom returns 0 if another connection may be accepted. It evicts one if that is
// necessary. If nothing can be evicted yet, it returns the time until the next attempt.
func (l *Listener) makeRoom() time.Duration {
	limit := l.limit()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) < limit {
		return 0
	}
	for e := l.order.Front(); e != nil; e = e.Next() {
		p := e.Value.(*pendingConn)
		if p.answering > 0 {
			continue
		}
		if left := minAge(limit) - time.Since(p.accepted); left > 0 {
			return left
		}
		l.log.Debug("evicted", "remote", p.conn.RemoteAddr().String())
		l.evict(e)
		return 0
	}
	return answeringPoll
}

// evict closes the connection beneath TLS, since a close_notify could block. Its owner
// net/http notices the close. l.mu is held.
func (l *Listener) evict(e *list.Element) {
	p := e.Value.(*pendingConn)
	l.order.Remove(e)
	delete(l.pending, p.conn)
	c := p.conn
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.Close()
}

// ConnState is the http.Server's ConnState. The server calls it for a new connection
// before it accepts the next one.
func (l *Listener) ConnState(c net.Conn, s http.ConnState) {
	if !isKey(c) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch s {
	case http.StateNew:
		now := time.Now()
		l.pending[c] = l.order.PushBack(&pendingConn{conn: c, accepted: now, quiet: now})
	case http.StateHijacked, http.StateClosed:
		if e := l.pending[c]; e != nil { // else it was evicted
			l.order.Remove(e)
			delete(l.pending, c)
			l.retry()
		}
	}
}

// Begin reports that a handler answers a request of c. Until End is called, c is not
// evicted. net/http reports the state active for longer: after the answer it waits for the
// remaining body of the request.
func (l *Listener) Begin(c net.Conn) { l.answering(c, 1) }

// End reports that the handler has returned, or that it waits for the request's body.
func (l *Listener) End(c net.Conn) { l.answering(c, -1) }

func (l *Listener) answering(c net.Conn, n int) {
	if !isKey(c) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.pending[c]
	if e == nil {
		return // evicted or upgraded
	}
	p := e.Value.(*pendingConn)
	if p.answering += n; p.answering == 0 {
		p.quiet = time.Now()
		l.retry()
	}
}

// isKey reports whether c can be a map key. A type of another listener may not be one;
// its connections are not limited.
func isKey(c net.Conn) bool { return c != nil && reflect.ValueOf(c).Comparable() }

// retry makes a waiting Accept call makeRoom again. l.mu is held.
func (l *Listener) retry() {
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// flushTime is the time in which net/http sends an answer after its handler has returned.
const flushTime = 50 * time.Millisecond

// CloseQuiet closes each pending connection that waits for its peer, until done is
// closed. http.Server.Shutdown would wait for the first request of a new connection. It
// would also wait for the body of a request that has been answered.
func (l *Listener) CloseQuiet(done <-chan struct{}) {
	t := time.NewTicker(flushTime)
	defer t.Stop()
	for {
		l.closeQuiet()
		select {
		case <-done:
			return
		case <-t.C:
		}
	}
}

func (l *Listener) closeQuiet() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.order.Front(); e != nil; {
		next := e.Next()
		if p := e.Value.(*pendingConn); p.answering == 0 && time.Since(p.quiet) >= flushTime {
			l.evict(e)
		}
		e = next
	}
}

// Close closes the inner listener. A blocked Accept returns net.ErrClosed.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.outage.stop()
	})
	return l.Listener.Close()
}
