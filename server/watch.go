package server

import (
	"time"

	"golang.org/x/sync/errgroup"
)

// A handler that does not read does not notice the end of the stream. So one goroutine of
// the Server looks at the connections. It acts only on those on which no read waits. A
// parked connection counts as one if reading has failed.
const (
	// watchPeriod is the time from one inspection to the next. The end of the stream is
	// found within two periods.
	watchPeriod = 400 * time.Millisecond
	// stuckPeriods is the number of looks at a closed connection after which its handler
	// is reported.
	stuckPeriods = int(stuckAfter / watchPeriod)
	stuckAfter   = 10 * time.Second
)

// watch looks at the connections until stop is closed.
func (s *Server) watch(stop <-chan struct{}) {
	var group errgroup.Group
	defer group.Wait()
	t := time.NewTicker(watchPeriod)
	defer t.Stop()
	var some []*Conn
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		s.mu.Lock()
		for _, c := range s.conns {
			if c.needsInspection() {
				some = append(some, c)
			}
		}
		s.mu.Unlock()
		for _, c := range some {
			c.inspect(&group)
		}
		clear(some)
		some = some[:0]
	}
}

// startWatch starts the goroutine of watch. s.mu is held.
func (s *Server) startWatch() {
	stop := make(chan struct{})
	s.stopWatch = func() { close(stop) }
	s.watching.Go(func() { s.watch(stop) })
}

// needsInspection reports whether no read waits on c, or c is closed and its handler runs.
func (c *Conn) needsInspection() bool {
	switch state(c.state.Load()) {
	case stateOpen:
		return !c.tr.Waiting()
	case stateClosing:
		return false // the close timeout bounds it
	}
	return true
}

// inspect ends c if its stream has ended, or a read or write has failed. It does not do
// so if the handler has read since the last inspection. It reports a handler that does
// not return.
func (c *Conn) inspect(group *errgroup.Group) {
	w := &c.watched
	if state(c.state.Load()) == stateClosed {
		if w.closed++; w.closed == stuckPeriods {
			c.srv.reportStuck(c)
		}
		return
	}
	// TryLock: the holder of the lock reads. It finds the end, or it has read since the
	// last inspection. If it unlocks without either, the inspection after watchPeriod
	// acquires the lock.
	if !c.reading.TryLock() {
		return
	}
	read := c.reads != w.reads
	w.reads = c.reads
	c.reading.Unlock()
	if read || c.writeFailed.Load() == nil && c.tr.Err() == nil && !c.tr.HungUp() {
		return
	}
	group.Go(func() error {
		// TryLock: another holder of the lock reads, and finds the end.
		if c.reading.TryLock() {
			defer c.reading.Unlock()
			c.drainForReason()
		}
		return nil
	})
}

// watched is the state of the watch of one connection. Only that goroutine uses it.
type watched struct {
	reads  uint // Conn.reads as of the last inspection
	closed int  // inspections since c was closed
}

// reportStuck logs that the handler of c has not returned although its context has ended.
func (s *Server) reportStuck(c *Conn) {
	if c.reportedStuck.Swap(true) {
		return
	}
	c.mu.Lock()
	kind, at := c.reason.Kind, c.reasonAt
	c.mu.Unlock()
	s.log.Warn("a handler has not returned although its context has ended", "id", c.id, "remote", c.remote,
		"uri", s.loggedURI(c.uri), "kind", kind.String(), seconds("since_seconds", time.Since(at), time.Millisecond))
}
