package server

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// pings are the calls of Ping that wait.
type pings struct {
	mu   sync.Mutex
	last uint64
	wait map[string]chan struct{} // by payload; nil while there are none
}

// Ping sends a ping and waits for its pong, which only a concurrent read or a parked
// connection receives. A ping is sent after a frame that is being written. The error is
// that of ctx, or net.ErrClosed if the connection ends. It does not end the connection.
func (c *Conn) Ping(ctx context.Context) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	p := &c.pings
	pong := make(chan struct{})
	p.mu.Lock()
	p.last++
	payload := strconv.FormatUint(p.last, 10)
	if p.wait == nil {
		p.wait = make(map[string]chan struct{})
	}
	p.wait[payload] = pong
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if delete(p.wait, payload); len(p.wait) == 0 {
			p.wait = nil
		}
	}()
	c.tr.Ping([]byte(payload))
	c.observePing()
	select {
	case <-pong:
		return nil
	case <-c.ctx.Done():
		return net.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("waiting for a pong: %w", contextError(ctx))
	}
}

// onPing is called by the reader for each ping.
func (c *Conn) onPing() {
	if m := c.heartbeat.Load(); m != nil {
		m.Received()
	}
}

// onPong is called by the reader for each pong.
func (c *Conn) onPong(payload []byte) {
	c.observePong(func() {
		if m := c.heartbeat.Load(); m != nil {
			m.OnPong(context.Background(), payload)
		}
	})
	p := &c.pings
	p.mu.Lock()
	defer p.mu.Unlock()
	if pong, ok := p.wait[string(payload)]; ok {
		delete(p.wait, string(payload))
		close(pong)
	}
}

// A pinger is a connection as its heartbeat uses it. SendPing does not wait for the
// pong.
type pinger struct{ *Conn }

func (p pinger) SendPing(payload []byte) {
	p.tr.Ping(payload)
	p.observePing()
}
