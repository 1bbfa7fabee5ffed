// Package listener limits the connections of an HTTP server that have not upgraded to
// WebSocket: those in a handshake and those of plain HTTP. It also derives limits from
// the number of files that the process may have open.
//
//	l := listener.New(inner, log, listener.MaxPending(maxConns))
//	hs := &http.Server{Handler: h, ConnState: l.ConnState}
//	hs.Serve(l)
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
// reached, Accept waits until one upgrades, closes or is evicted. The oldest connection
// without a request is evicted once it is a second old. So idle connections cannot
// lock out new ones.
//
// If the process or the system has no descriptors left, Accept tries again. The log
// gets one line at the beginning of such an outage and one at its end.
type Listener struct {
	net.Listener
	// OnMisdirected is called if a client begins with another protocol than HTTP, once
	// for a connection and before the answer. Set it before Accept. Nil: not called.
	OnMisdirected func(remote net.Addr, p Protocol)

	log *slog.Logger
	max int

	freed  chan struct{} // has a value if a pending connection has gone
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	pending map[net.Conn]*list.Element
	order   list.List // of *pendingConn, the oldest since first

	outage outage
}

// pendingConn is a connection that has not upgraded.
type pendingConn struct {
	conn  net.Conn
	since time.Time // of its present state
	busy  bool      // one of its requests is being answered
}

// minPendingAge is the time without a request after which a connection may be evicted.
// A handshake takes one round trip, and one or two more under TLS.
const minPendingAge = time.Second

// New returns a Listener that accepts from inner and allows max pending connections.
func New(inner net.Listener, log *slog.Logger, max int) *Listener {
	return &Listener{
		Listener: inner,
		log:      log,
		max:      max,
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
			if tcp, ok := c.(*net.TCPConn); ok && l.OnMisdirected != nil {
				c = &firstRead{TCPConn: tcp, l: l}
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
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) < l.max {
		return 0
	}
	for e := l.order.Front(); e != nil; e = e.Next() {
		p := e.Value.(*pendingConn)
		if p.busy {
			continue // the server's WriteTimeout bounds it
		}
		if left := minPendingAge - time.Since(p.since); left > 0 {
			return left
		}
		l.log.Debug("evicted", "remote", p.conn.RemoteAddr().String())
		l.evict(e)
		return 0
	}
	return minPendingAge
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
	if !reflect.ValueOf(c).Comparable() {
		return // a type of another listener, which cannot be a map key
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s == http.StateNew {
		l.pending[c] = l.order.PushBack(&pendingConn{conn: c, since: time.Now()})
		return
	}
	e := l.pending[c]
	if e == nil {
		return // evicted
	}
	switch s {
	case http.StateActive, http.StateIdle:
		*e.Value.(*pendingConn) = pendingConn{conn: c, since: time.Now(), busy: s == http.StateActive}
		l.order.MoveToBack(e)
	case http.StateHijacked, http.StateClosed:
		l.order.Remove(e)
		delete(l.pending, c)
		select {
		case l.freed <- struct{}{}:
		default:
		}
	}
}

// CloseIdle closes each pending connection without a request. http.Server.Shutdown
// would wait five seconds for the first request of a new one.
func (l *Listener) CloseIdle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.order.Front(); e != nil; {
		next := e.Next()
		if !e.Value.(*pendingConn).busy {
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
