// Package listener limits the connections of an HTTP server that have not upgraded to
// WebSocket. They are in a handshake or use plain HTTP. It also derives limits from the
// number of files that the process may have open.
//
//	l := listener.New(log, func() int { return 100 })
//	hs := &http.Server{Handler: h, ConnState: l.ConnState}
//	hs.Serve(l.Wrap(inner))
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

// A Limiter limits the pending connections of all listeners that Wrap has returned, taken
// together. If the limit is reached, Accept evicts the oldest pending connection that waits
// for its peer. While a handler answers a request, or the answer is sent, a connection
// does not wait for its peer. So a peer cannot keep a slot. It does not matter whether it
// sends no request, a part of one, one without its body, or many.
//
// If the process or the system has no descriptors left, Accept tries again. The log
// gets one line at the beginning of such an outage and one at its end.
type Limiter struct {
	// OnMistake is called for a Mistake, before the answer of net/http. It may be called
	// concurrently. Set it before Accept. Nil: not called.
	OnMistake func(remote net.Addr, m Mistake)
	// OnBadHeader is called like OnMistake, for a header that a HeaderConn refuses.
	OnBadHeader func(remote net.Addr, reason error)
	// OnEvict is called for each evicted connection. Set it before Accept. Nil: not called.
	OnEvict func()

	log   *slog.Logger
	limit func() int

	slotFreed chan struct{} // has a value if a pending connection has ended or been answered
	accepting sync.Mutex    // held by the Accept that waits for a slot

	mu      sync.Mutex
	pending map[net.Conn]*list.Element
	order   list.List // of *pendingConn, the oldest first

	outage outage
}

// pendingConn is a connection that has not upgraded.
type pendingConn struct {
	conn      net.Conn
	accepted  time.Time
	answering int       // requests that a handler is answering; HTTP/2 may have several; negative: see Await
	idleSince time.Time // since when there is none
	flushing  bool      // net/http may not have sent the last answer; for flushTime at most
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

// New returns a Limiter. It calls limit for each connection; the result is how many may be
// pending. Each listener after the first may add one to that.
func New(log *slog.Logger, limit func() int) *Limiter {
	return &Limiter{
		log:       log,
		limit:     limit,
		slotFreed: make(chan struct{}, 1),
		pending:   make(map[net.Conn]*list.Element),
		outage:    outage{log: log},
	}
}

// Wrap returns a listener that accepts from inner. Its Accept blocks until there is a
// connection and the limit allows it. After a hijack, use Unwrap. A blocked Accept returns
// net.ErrClosed after Close.
func (l *Limiter) Wrap(inner net.Listener) net.Listener {
	return &limited{Listener: inner, l: l, closed: make(chan struct{})}
}

// limited is a listener of a Limiter.
type limited struct {
	net.Listener
	l      *Limiter
	closed chan struct{}
	once   sync.Once
}

func (w *limited) Accept() (net.Conn, error) {
	c, err := w.acceptRetry()
	if err != nil {
		return nil, err
	}
	if !w.waitForSlot() {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	return w.l.watch(c), nil
}

// waitForSlot waits until another connection may be accepted. It reports false if the
// listener was closed meanwhile.
func (w *limited) waitForSlot() bool {
	w.l.accepting.Lock()
	defer w.l.accepting.Unlock()
	for {
		wait := w.l.ensureSlot()
		if wait == 0 {
			return true
		}
		if w.sleep(wait, w.l.slotFreed) {
			return false
		}
	}
}

// sleep waits for d or for a value from early. It reports whether the listener is
// closed.
func (w *limited) sleep(d time.Duration, early <-chan struct{}) (closed bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
	case <-w.closed:
		return true
	}
	return false
}

func (w *limited) Close() error {
	w.once.Do(func() {
		close(w.closed)
		w.l.outage.stop()
	})
	return w.Listener.Close()
}

// ensureSlot returns 0 if another connection may be accepted. It evicts one if that is
// necessary. If nothing can be evicted yet, it returns the time until the next attempt.
func (l *Limiter) ensureSlot() time.Duration {
	wait, evicted := l.tryEnsureSlot()
	if evicted != nil {
		l.log.Debug("evicted", "remote", evicted.RemoteAddr().String())
		if l.OnEvict != nil {
			l.OnEvict()
		}
	}
	return wait
}

// tryEnsureSlot returns the connection that it has evicted, nil if there is none.
func (l *Limiter) tryEnsureSlot() (wait time.Duration, evicted net.Conn) {
	limit := l.limit()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) < limit {
		return 0, nil
	}
	for e := l.order.Front(); e != nil; e = e.Next() {
		p := e.Value.(*pendingConn)
		if p.answering > 0 || p.flushing && time.Since(p.idleSince) < flushTime {
			continue
		}
		if left := minAge(limit) - time.Since(p.accepted); left > 0 {
			return left, nil
		}
		l.evict(e)
		return 0, p.conn
	}
	return answeringPoll, nil
}

// evict closes the connection beneath TLS, since a close_notify could block. Its owner
// net/http notices the close. l.mu is held.
func (l *Limiter) evict(e *list.Element) {
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
func (l *Limiter) ConnState(c net.Conn, s http.ConnState) {
	if !isKey(c) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch s {
	case http.StateNew:
		now := time.Now()
		l.pending[c] = l.order.PushBack(&pendingConn{conn: c, accepted: now, idleSince: now})
	case http.StateIdle: // the answer is sent
		if e := l.pending[c]; e != nil {
			e.Value.(*pendingConn).flushing = false
			l.retry()
		}
	case http.StateHijacked, http.StateClosed:
		if e := l.pending[c]; e != nil { // else it was evicted
			l.order.Remove(e)
			delete(l.pending, c)
			l.retry()
		}
	}
}

// Begin reports that a handler answers a request of c. Until End or Await is called, c is
// not evicted. net/http reports the state active for longer: after the answer it waits for
// the remaining body of the request.
func (l *Limiter) Begin(c net.Conn) { l.answering(c, 1, false) }

// Await reports that the handler waits for the request's body. The handler may return before
// the wait is over, if another goroutine waits, as under http.TimeoutHandler.
func (l *Limiter) Await(c net.Conn) { l.answering(c, -1, false) }

// End reports that the handler has returned. net/http then sends the answer.
func (l *Limiter) End(c net.Conn) { l.answering(c, -1, true) }

func (l *Limiter) answering(c net.Conn, n int, flushing bool) {
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
		p.idleSince, p.flushing = time.Now(), flushing
		l.retry()
	}
}

// isKey reports whether c can be a map key. A type of another listener may not be one;
// its connections are not limited.
func isKey(c net.Conn) bool { return c != nil && reflect.ValueOf(c).Comparable() }

// retry makes a waiting Accept call ensureSlot again. l.mu is held.
func (l *Limiter) retry() {
	select {
	case l.slotFreed <- struct{}{}:
	default:
	}
}

// flushTime is the time in which net/http sends an answer after its handler has returned.
const flushTime = 50 * time.Millisecond

// CloseWaiting closes each pending connection that waits for its peer, until done is
// closed. http.Server.Shutdown would wait for the first request of a new connection. It
// would also wait for the body of a request that has been answered.
func (l *Limiter) CloseWaiting(done <-chan struct{}) {
	t := time.NewTicker(flushTime)
	defer t.Stop()
	for {
		l.closeWaiting()
		select {
		case <-done:
			return
		case <-t.C:
		}
	}
}

func (l *Limiter) closeWaiting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.order.Front(); e != nil; {
		next := e.Next()
		if p := e.Value.(*pendingConn); p.answering <= 0 && time.Since(p.idleSince) >= flushTime {
			l.evict(e)
		}
		e = next
	}
}
