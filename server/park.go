package server

import (
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/wsecho/internal/socket"
)

// ErrNoMessage is the error of a read if Options.ParkAfter is set and no message is
// there. The handler returns it, and is called again for the next message.
var ErrNoMessage = errors.New("server: no message is there")

// errPark ends the run of an idle connection.
var errPark = errors.New("server: the connection is idle")

// firstParkAfter is the ParkAfter of a connection that has never sent a message, if it is
// less than Options.ParkAfter.
const firstParkAfter = time.Second

// idleTimes returns how long c must be without a message before it is parked. first counts
// from now, and after from a message. 0 means never.
func (c *Conn) idleTimes() (first, after time.Duration) {
	if c.neverPark {
		return 0, 0
	}
	after = c.srv.opts.ParkAfter
	if in, _ := c.tr.Counts(); in.Total().Messages == 0 {
		return min(after, firstParkAfter), after
	}
	return after, after
}

// A parker owns the parked connections. A parked connection has no goroutine, no reader
// and no ticker of its own. One goroutine of the parker waits for all their sockets, and
// one ticker sends their pings.
//
// A connection is parked while it is in conns. The goroutine that removes it owns it, and
// ticks its heartbeat or starts it. The parker's own goroutines never read or write a
// socket, because that may block.
type parker struct {
	poller *socket.Poller
	period time.Duration // of the ticker
	group  errgroup.Group
	done   chan struct{}

	mu    sync.Mutex // a leaf: nothing is locked under it
	conns map[uint64]*Conn
}

// parking returns the parker, which the first call starts. It returns nil if the system
// cannot watch sockets, and after stopParking.
func (s *Server) parking() *parker {
	if p := s.parker.Load(); p != nil {
		return p
	}
	p, err := s.startParking()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		s.log.Warn("idle connections are not parked", "cause", err)
	}
	return p
}

func (s *Server) startParking() (*parker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.parker.Load(); p != nil || s.noParking {
		return p, nil
	}
	poller, err := socket.NewPoller()
	if err != nil {
		s.noParking = true
		return nil, err
	}
	p := &parker{
		poller: poller,
		// heartbeat.Monitor.Tick keeps its bound with pings up to two periods early.
		period: max(time.Millisecond, min(time.Second, s.opts.PingInterval/40)),
		done:   make(chan struct{}),
		conns:  make(map[uint64]*Conn),
	}
	p.group.Go(p.watch)
	if s.opts.PingInterval > 0 {
		p.group.Go(p.tickAll)
	}
	s.parker.Store(p)
	return p, nil
}

// stopParking ends the parker and waits for its goroutines. A drain calls it at its end.
// Each connection has a reason by then, so none stays parked: see (*Conn).addOrStart.
func (s *Server) stopParking() {
	s.mu.Lock()
	s.noParking = true
	p := s.parker.Swap(nil)
	s.mu.Unlock()
	if p == nil {
		return
	}
	close(p.done)
	_ = p.poller.Close() // fails only if it is closed
	if err := p.group.Wait(); err != nil {
		s.log.Error("watching the parked connections has failed", "cause", err)
	}
}

// watch starts the connections whose sockets are ready. It returns when the poller is
// closed.
func (p *parker) watch() error {
	for ids := make([]uint64, 128); ; {
		n, err := p.poller.Wait(ids)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, id := range ids[:n] {
			if c := p.remove(id); c != nil {
				go c.unpark()
			}
		}
	}
}

// tickAll ticks the heartbeats that are due.
func (p *parker) tickAll() error {
	t := time.NewTicker(p.period)
	defer t.Stop()
	var due []*Conn
	for {
		select {
		case <-p.done:
			return nil
		case <-t.C:
		}
		now := time.Now()
		p.mu.Lock()
		for id, c := range p.conns {
			if !c.tickDue.After(now) {
				delete(p.conns, id)
				due = append(due, c)
			}
		}
		p.mu.Unlock()
		for _, c := range due {
			go c.tick(p)
		}
		clear(due)
		due = due[:0]
	}
}

// remove removes a parked connection, which the caller then owns. It returns nil if there
// is none with this id.
func (p *parker) remove(id uint64) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.conns[id]
	delete(p.conns, id)
	return c
}

// add parks c and watches its socket for one event. Unread input is such an event.
func (p *parker) add(c *Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	watch := p.poller.Rearm
	if !c.polled {
		watch = p.poller.Add
	}
	if err := watch(c.tr.Raw(), c.id); err != nil {
		return err
	}
	c.polled = true
	p.conns[c.id] = c
	return nil
}

// isParked reports whether c is parked.
func (c *Conn) isParked() bool {
	p := c.srv.parker.Load()
	if p == nil || !c.canPark {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns[c.id] != nil
}

// unparkClosed starts a parked connection that is closed, so that it ends.
func (s *Server) unparkClosed(c *Conn) {
	if p := s.parker.Load(); p != nil && p.remove(c.id) != nil {
		go c.unpark()
	}
}

// park parks the idle connection c, unless it has received something meanwhile. The caller
// owns c.
func (c *Conn) park() {
	p := c.srv.parking()
	if p == nil {
		c.neverPark = true
	}
	if c.neverPark || !c.tr.Park() {
		go c.run()
		return
	}
	c.tick(p)
}

// unpark handles an event of c. It starts c, or parks it again if there was only a ping or
// pong. The caller owns c.
func (c *Conn) unpark() {
	p := c.srv.parker.Load()
	if p != nil && !c.isClosing() && c.tr.Park() {
		c.addOrStart(p)
		return
	}
	if p != nil && c.polled {
		_ = p.poller.Remove(c.tr.Raw()) // fails only if the socket is closed
	}
	c.polled = false
	go c.run()
}

// tick ticks the heartbeat of c and adds c to p. The caller owns c.
func (c *Conn) tick(p *parker) {
	if m := c.heartbeat.Load(); m != nil && !c.isClosing() {
		next, err := m.Tick(2*p.period, pinger{c})
		if c.closeFor(err) != nil {
			c.unpark()
			return
		}
		c.tickDue = time.Now().Add(next)
	}
	c.addOrStart(p)
}

// addOrStart adds c to p, or starts c if that fails. The caller owns c until then.
func (c *Conn) addOrStart(p *parker) {
	if err := p.add(c); err != nil {
		c.srv.log.Debug("a connection cannot be parked", "id", c.id, "cause", err)
		c.neverPark = true
		c.unpark()
		return
	}
	if c.isClosing() && p.remove(c.id) != nil { // unparkClosed may have been called before add
		c.unpark()
	}
}
