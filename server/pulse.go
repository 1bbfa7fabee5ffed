package server

import (
	"sync"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/transport"
)

// A pulse calls the heartbeat when it is due. Between two beats there is a timer
// and no goroutine: the stack of one would be a quarter of what an idle connection
// takes.
type pulse struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool // no beat begins any more
}

// startBeats starts the heartbeat, if there is one.
func (c *Conn) startBeats() {
	if c.beat == nil {
		return
	}
	first, _ := c.beat.Tick(0, (*sender)(c.tr)) // it only says when
	p := &c.pulse
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.timer = time.AfterFunc(first, c.due)
	}
}

// due is what the timer calls.
func (c *Conn) due() {
	p := &c.pulse
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over { // or the group might have been waited for
		c.group.Go(c.pulsate)
	}
}

func (c *Conn) pulsate() error {
	next, err := c.beat.Tick(0, (*sender)(c.tr))
	if err != nil {
		c.conclude(ending.Of(err))
		return err
	}
	p := &c.pulse
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.timer.Reset(next)
	}
	return nil
}

// stop ends it. A beat that has begun is for the group to wait for.
func (p *pulse) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// A sender is a transport as package heartbeat wants it.
type sender transport.Conn

func (s *sender) SendPing(payload []byte) { (*transport.Conn)(s).Ping(payload) }
