package client

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"example.com/wsecho/internal/frame"
)

// A Pool is a set of connections to one server.
type Pool struct{ conns []*Conn }

// Open opens n connections to a URL, like [Dial].
func Open(ctx context.Context, url string, n int) (*Pool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	p := new(Pool)
	for range n {
		c, err := Dial(ctx, url)
		if err != nil {
			p.Close()
			return nil, fmt.Errorf("connection %d: %w", len(p.conns)+1, err)
		}
		p.conns = append(p.conns, c)
	}
	return p, nil
}

// Close closes all connections without a closing handshake.
func (p *Pool) Close() {
	for _, c := range p.conns {
		c.Close()
	}
}

// AnswerPings answers the pings on all connections until t, and returns their number.
func (p *Pool) AnswerPings(t time.Time) (pings int, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, c := range p.conns {
		all.Go(func() {
			n, e := c.answerPings(t)
			mu.Lock()
			defer mu.Unlock()
			pings += n
			if err == nil {
				err = e
			}
		})
	}
	all.Wait()
	return pings, err
}

// Alive sends one message on each connection, and returns the number of echoes.
func (p *Pool) Alive() int {
	n := 0
	for _, c := range p.conns {
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if c.Echo("alive") == nil {
			n++
		}
		_ = c.SetDeadline(time.Time{})
	}
	return n
}

// Flood sends texts of size bytes on every connection as fast as the server reads them,
// and discards the echoes. stop closes the connections.
func (p *Pool) Flood(size int) (stop func()) {
	one := frame.AppendMasked(nil, frame.Fin|frame.Text, [4]byte{0x37, 0xfa, 0x21, 0x3d}, bytes.Repeat([]byte("x"), size))
	out := bytes.Repeat(one, 256)
	var all sync.WaitGroup
	for _, c := range p.conns {
		all.Go(func() {
			for {
				if _, err := c.Write(out); err != nil {
					return
				}
			}
		})
		all.Go(func() {
			b := make([]byte, 64<<10)
			for {
				if _, err := c.Read(b); err != nil {
					return
				}
			}
		})
	}
	return func() {
		p.Close()
		all.Wait()
	}
}
