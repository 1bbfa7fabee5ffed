package server

import (
	"container/list"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync"
	"syscall"
	"time"
)

// A lobby is the listener of Serve with the connections that are no WebSockets:
// those in a handshake and those of plain HTTP. There are only so many. When it
// is full, the next one waits until another has left; and who has been there for
// long without a request is shown out for it, the oldest first. So who holds
// connections open costs the others a moment, and not their place.
//
// Where the system gives no more connections, it says so in the log once, and
// once more when that is over.
type lobby struct {
	net.Listener
	log  *slog.Logger
	most int

	left   chan struct{} // holds one when somebody has left
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	in    map[net.Conn]*list.Element
	order list.List // of *guest, by since

	failing time.Time   // since when the system gives none; zero: it does
	failed  time.Time   // when it last did not
	fails   int         // how often, in this spell
	calm    *time.Timer // calls over; nil before the first
}

// A guest is one connection in the lobby.
type guest struct {
	conn  net.Conn
	since time.Time // it has been doing what it does
	busy  bool      // a request of its is being answered
}

const (
	// lobbySize is for how many there is room, where descriptors allow.
	lobbySize = 1000
	// patience is for how long nobody is shown out. A handshake takes as many
	// round trips as TLS has, and one.
	patience = time.Second
	// calmTime without a failure to accept ends a spell of them. It is longer
	// than retry.
	calmTime = 2 * time.Second
	// retry is the longest wait between two attempts.
	retry = 250 * time.Millisecond
)

func newLobby(l net.Listener, log *slog.Logger, most int) *lobby {
	return &lobby{Listener: l, log: log, most: most,
		left: make(chan struct{}, 1), closed: make(chan struct{}), in: make(map[net.Conn]*list.Element)}
}

// Accept waits for a connection and then for room.
func (l *lobby) Accept() (net.Conn, error) {
	c, err := l.accept()
	if err != nil {
		return nil, err
	}
	for {
		wait := l.full()
		if wait == 0 {
			return c, nil
		}
		if l.pause(wait, l.left) {
			_ = c.Close()
			return nil, net.ErrClosed
		}
	}
}

// accept waits for a connection, and until the system has one to give.
func (l *lobby) accept() (net.Conn, error) {
	for delay := 5 * time.Millisecond; ; delay = min(2*delay, retry) {
		c, err := l.Listener.Accept()
		if err == nil || !exhausted(err) {
			return c, err
		}
		l.fail(err)
		if l.pause(delay, nil) {
			return nil, net.ErrClosed
		}
	}
}

// exhausted reports whether err is for want of what others may give back.
func exhausted(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// pause waits for d or for early. It reports whether the listener is closed.
func (l *lobby) pause(d time.Duration, early <-chan struct{}) (closed bool) {
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

// full returns 0 if there is room, after showing somebody out if need be;
// otherwise, after how long to ask again.
func (l *lobby) full() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.in) < l.most {
		return 0
	}
	for e := l.order.Front(); e != nil; e = e.Next() {
		g := e.Value.(*guest)
		if g.busy {
			continue // net/http and the answer's timeout see to it
		}
		if left := patience - time.Since(g.since); left > 0 {
			return left
		}
		l.log.Debug("shown out", "remote", g.conn.RemoteAddr().String())
		l.remove(e)
		return 0
	}
	return patience
}

// remove closes the connection, beneath TLS: there is nothing to say.
func (l *lobby) remove(e *list.Element) {
	g := e.Value.(*guest)
	l.order.Remove(e)
	delete(l.in, g.conn)
	c := g.conn
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.Close() // net/http, which has it, will find out
}

// state is for http.Server.ConnState. That a connection is new it is told before
// the next is accepted.
func (l *lobby) state(c net.Conn, s http.ConnState) {
	if !reflect.ValueOf(c).Comparable() {
		return // of somebody's own listener, and no key of a map
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.in[c]
	switch s {
	case http.StateNew:
		l.in[c] = l.order.PushBack(&guest{conn: c, since: time.Now()})
	case http.StateActive, http.StateIdle:
		if e == nil {
			return // shown out
		}
		*e.Value.(*guest) = guest{conn: c, since: time.Now(), busy: s == http.StateActive}
		l.order.MoveToBack(e)
	default: // hijacked, or closed
		if e == nil {
			return
		}
		l.order.Remove(e)
		delete(l.in, c)
		select {
		case l.left <- struct{}{}:
		default:
		}
	}
}

// clear closes whoever has asked for nothing. http.Server.Shutdown would give a
// new connection five seconds to ask.
func (l *lobby) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.order.Front(); e != nil; {
		next := e.Next()
		if !e.Value.(*guest).busy {
			l.remove(e)
		}
		e = next
	}
}

// fail notes that the system gave no connection.
func (l *lobby) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = time.Now()
	if l.fails++; l.failing.IsZero() {
		l.failing = l.failed
		l.log.Warn("cannot accept connections", "cause", err.Error())
	}
	if l.calm == nil {
		l.calm = time.AfterFunc(calmTime, l.over)
	} else {
		l.calm.Reset(calmTime)
	}
}

// over ends a spell of failures.
func (l *lobby) over() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing.IsZero() || time.Since(l.failed) < calmTime {
		return
	}
	l.log.Warn("accepting connections again", "after", l.failed.Sub(l.failing).Round(time.Millisecond), "failures", l.fails)
	l.failing, l.fails = time.Time{}, 0
}

// Close closes the listener.
func (l *lobby) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.calm != nil {
			l.calm.Stop()
		}
	})
	return l.Listener.Close()
}
