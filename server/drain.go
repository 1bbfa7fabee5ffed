package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/listener"
)

// A tally counts how the connections of a drain ended.
type tally struct {
	acknowledged   int // answered the server's close frame
	unacknowledged int // received it and did not answer in time
	unwritable     int // the close frame could not be sent
}

func (t *tally) add(o *Outcome) {
	switch {
	case o.Kind != ending.Drained:
	case o.Sent == 0:
		t.unwritable++
	case o.Received == 0:
		t.unacknowledged++
	default:
		t.acknowledged++
	}
}

// Shutdown drains the server. /readyz answers 503. After the drain delay the server
// refuses new connections and sends 1001 on all others. Shutdown returns when the last
// connection has ended. Many connections get their close frames one after the other, so
// that not all peers reconnect at once; see Options.DrainSpread. Shutdown cuts off the
// connections that are left when ctx ends or the drain timeout is over.
//
// It returns nil if all connections ended in time. Otherwise the error contains how many
// were cut off, or how many handlers have not returned. It may be called more than once.
// Serve closes its listeners when the drain begins and returns after it. Under another HTTP
// server, shut that down too.
func (s *Server) Shutdown(ctx context.Context) error {
	s.markNotReady()
	s.delay(ctx)
	return s.drain(ctx)
}

// markNotReady makes /readyz answer 503.
func (s *Server) markNotReady() {
	s.mu.Lock()
	first, open := !s.notReady, len(s.conns)
	s.notReady = true
	s.mu.Unlock()
	if first {
		s.observeDrain(DrainAnnounced, open)
	}
}

func (s *Server) delay(ctx context.Context) {
	s.mu.Lock()
	over := s.draining // an earlier call has waited
	s.mu.Unlock()
	if s.opts.DrainDelay == 0 || over {
		return
	}
	s.log.Info("draining soon", seconds("delay_seconds", s.opts.DrainDelay, time.Millisecond))
	t := time.NewTimer(s.opts.DrainDelay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *Server) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.DrainTimeout)
	defer cancel()
	s.mu.Lock()
	first := !s.draining
	if first {
		s.draining = true
		close(s.drainBegun)
		defer close(s.drained)
		if s.slots == 0 {
			close(s.empty)
		}
	}
	s.mu.Unlock()
	defer s.stopParking() // before drained is closed, after which Serve returns
	conns := s.snapshot()
	if first {
		s.observeDrain(DrainBegun, len(conns))
		defer func() { s.observeDrain(DrainOver, s.Count()) }()
	}
	attrs := []slog.Attr{slog.Int("connections", len(conns)), seconds("timeout_seconds", s.opts.DrainTimeout, time.Millisecond)}
	if s.opts.DrainSpread > 0 {
		attrs = append(attrs, seconds("spread_seconds", s.opts.DrainSpread, time.Millisecond))
	}
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "draining", attrs...)

	var group errgroup.Group
	s.closeAll(ctx, conns, &group)
	var err error
	select {
	case <-s.empty:
	case <-ctx.Done():
		if s.isEmpty() { // select chooses at random
			break
		}
		left := s.Count()
		s.observeDrain(DrainCut, left)
		s.cutOff()
		err = fmt.Errorf("server: %d connections were cut at the end of the drain: %w", left, context.Cause(ctx))
		if stuck := s.await(s.opts.CloseTimeout + time.Second); stuck > 0 {
			for _, c := range s.snapshot() {
				s.reportStuck(c)
			}
			return fmt.Errorf("server: %d handlers have not returned although their context has ended", stuck)
		}
	}
	_ = group.Wait()
	s.watching.Wait()
	s.warnings.flush()
	s.mu.Lock()
	t := s.tally
	s.mu.Unlock()
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "drained", slog.Int("acknowledged", t.acknowledged),
		slog.Int("unacknowledged", t.unacknowledged), slog.Int("unwritable", t.unwritable))
	return err
}

func (s *Server) isEmpty() bool {
	select {
	case <-s.empty:
		return true
	default:
		return false
	}
}

// await waits up to d for the last connection to end. It returns how many are left.
func (s *Server) await(d time.Duration) int {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.empty:
		return 0
	case <-t.C:
		return s.Count()
	}
}

// closeAll begins the drains of conns one after the other, closeInterval apart. The order
// is random, because snapshot goes over a map.
func (s *Server) closeAll(ctx context.Context, conns []*Conn, group *errgroup.Group) {
	gap := s.closeInterval(len(conns))
	start := time.Now()
	t := time.NewTimer(0)
	defer t.Stop()
	for i, c := range conns {
		if wait := time.Until(start.Add(time.Duration(i) * gap)); wait > 0 {
			t.Reset(wait)
			select {
			case <-t.C:
			case <-s.empty:
				return
			case <-ctx.Done():
				return // the caller cuts them off
			}
		}
		group.Go(func() error { c.drain(); return nil })
	}
}

// closeGap is the time from one connection's close frame to the next.
const closeGap = 500 * time.Microsecond

// closeInterval returns the time between the close frames of n connections. Without a
// DrainSpread it is closeGap, or less so that the last one has time for its closing
// handshake.
func (s *Server) closeInterval(n int) time.Duration {
	if n < 2 {
		return 0
	}
	if s.opts.DrainSpread > 0 {
		return s.opts.DrainSpread / time.Duration(n)
	}
	room := (s.opts.DrainTimeout - s.opts.CloseTimeout - s.opts.DrainNotice) / 2
	return max(0, min(closeGap, room/time.Duration(n)))
}

// Serve accepts connections from the listeners until ctx ends, one of them fails or
// Shutdown is called. In the first two cases it drains the server as Shutdown does. It
// returns nil when the last connection has ended, even if some were cut off. It returns
// an error if a listener has failed. It also does so if a handler does not return after
// ctx has ended. It closes all listeners. The limits hold for all of them together. The
// handlers see the values of ctx. Unlike net/http's, a Serve that Shutdown ends returns
// nil. A later call returns an error that wraps [http.ErrServerClosed] at once.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	if len(listeners) == 0 {
		return errors.New("server: Serve needs a listener")
	}
	values := context.WithoutCancel(ctx)
	pending := listener.New(s.log, func() int { return listener.MaxPending(s.opts.MaxConns, s.usedSlots()) })
	pending.OnMistake, pending.OnBadHeader = s.reportMistake, s.reportBadHeader
	pending.OnEvict = func() { s.observeRefused(nil, RefusedEvicted) }
	defer s.warnings.flush() // so that no timer logs after Serve has returned
	hs := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: offAsZero(s.opts.HandshakeTimeout),
		ReadTimeout:       offAsZero(s.opts.HandshakeTimeout),
		WriteTimeout:      offAsZero(s.opts.HandshakeTimeout),
		IdleTimeout:       s.opts.HTTPIdleTimeout, // negative: none; 0 would be ReadTimeout
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          s.httpLog(),
		BaseContext:       func(net.Listener) context.Context { return context.WithValue(values, servedKey{}, &served{s, values}) },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, acceptedKey{}, &accepted{conn: c, pending: pending, at: time.Now()})
		},
		ConnState: pending.ConnState,
		// net/http must not answer OPTIONS *. It would read the body first. It would
		// answer thousands of such requests before other connections run.
		DisableGeneralOptionsHandler: true,
	}
	if s.isNotReady() {
		for _, l := range listeners {
			_ = l.Close()
		}
		return fmt.Errorf("server: %w", http.ErrServerClosed)
	}
	// The first value is an error of a listener, or http.ErrServerClosed.
	serving := make(chan error, len(listeners))
	var accepting sync.WaitGroup
	for _, l := range listeners {
		accepting.Go(func() { serving <- hs.Serve(pending.Wrap(l)) })
	}
	drain := func() error { return s.drain(values) }
	var failed error
	select {
	case <-s.drainBegun:
		drain = func() error { <-s.drained; return nil } // Shutdown returns its error
	case err := <-serving:
		failed = fmt.Errorf("server: accepting: %w", err)
		s.markNotReady()
		s.delay(values)
	case <-ctx.Done():
		s.markNotReady()
		s.delay(values)
	}

	// hs.Shutdown closes the listeners at once and waits for requests, but not for hijacked
	// connections.
	stopping, stop := context.WithTimeout(values, s.opts.DrainTimeout)
	defer stop()
	var group errgroup.Group
	stopped := make(chan struct{})
	group.Go(func() error {
		defer close(stopped)
		return hs.Shutdown(stopping)
	})
	err := drain()
	pending.CloseWaiting(stopped)
	if group.Wait() != nil {
		_ = hs.Close()
	}
	accepting.Wait()
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // some connections were cut off; the log has their number
	}
	if failed != nil {
		err = errors.Join(failed, err)
	}
	return err
}

// net/http reads 4 KiB more than this before it answers 431.
const maxHeaderBytes = 16<<10 - 4<<10

type (
	servedKey   struct{}
	acceptedKey struct{}
)

// serves reports whether Serve of s has accepted r.
func (s *Server) serves(r *http.Request) bool {
	by := servedBy(r)
	return by != nil && by.server == s
}

// served is the Server whose Serve has accepted a request, and the values of its context.
type served struct {
	server *Server
	values context.Context
}

// servedBy returns the served of r, nil under another HTTP server.
func servedBy(r *http.Request) *served {
	by, _ := r.Context().Value(servedKey{}).(*served)
	return by
}

// accepted is a TCP connection that Serve has accepted.
type accepted struct {
	conn    net.Conn
	pending *listener.Limiter
	at      time.Time
	used    atomic.Bool // for its first request; HTTP/2 may have several at once
}

// protectFromEviction protects the connection of r from eviction until the result is
// called. Under another HTTP server it does nothing.
func protectFromEviction(r *http.Request) (end func()) {
	a, ok := r.Context().Value(acceptedKey{}).(*accepted)
	if !ok {
		return func() {}
	}
	a.pending.Begin(a.conn)
	return func() { a.pending.End(a.conn) }
}

// handshakeStart returns when r began: when the connection was accepted for its first
// request, and now for a later one. It must be called once for each request.
func handshakeStart(r *http.Request) time.Time {
	a, ok := r.Context().Value(acceptedKey{}).(*accepted)
	if !ok || a.used.Swap(true) {
		return time.Now()
	}
	return a.at
}

// drain asks the handler to finish, and ends the connection after Options.DrainNotice.
func (c *Conn) drain() {
	c.draining.set()
	if d := c.srv.opts.DrainNotice; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.ctx.Done():
		}
	}
	c.startClose((&ending.Error{Kind: ending.Drained, Reason: "the server is going away"}).Ending())
}
