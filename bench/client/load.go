package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Load is many connections to one server.
type Load struct {
	conns []*Conn
	raw   bool
}

// Open makes n connections.
func Open(ctx context.Context, addr string, n int, raw bool) (*Load, error) {
	return open(ctx, n, raw, func(ctx context.Context) (*Conn, error) { return Dial(ctx, addr, raw) })
}

// OpenTLS is Open over TLS.
func OpenTLS(ctx context.Context, addr string, n int) (*Load, error) {
	return open(ctx, n, false, func(ctx context.Context) (*Conn, error) { return DialTLS(ctx, addr) })
}

func open(ctx context.Context, n int, raw bool, dial func(context.Context) (*Conn, error)) (*Load, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	l := &Load{raw: raw}
	for range n {
		c, err := dial(ctx)
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("connection %d: %w", len(l.conns)+1, err)
		}
		l.conns = append(l.conns, c)
	}
	return l, nil
}

// Close closes all connections.
func (l *Load) Close() {
	for _, c := range l.conns {
		c.Close()
	}
}

// A Result is what a run has done.
type Result struct {
	Messages int64
	Elapsed  time.Duration
	Latency  *hdrhistogram.Histogram // of a batch, in nanoseconds
}

// Run keeps inFlight messages on their way on every connection for d, a batch
// after the other.
func (l *Load) Run(d time.Duration, size, inFlight int, text bool) (Result, error) {
	b := NewBatch(inFlight, size, text, l.raw)
	res := Result{Latency: newHistogram()}
	var mu sync.Mutex
	var first error
	var all sync.WaitGroup
	start := time.Now()
	end := start.Add(d)
	for _, c := range l.conns {
		all.Go(func() {
			h := newHistogram()
			var n int64
			var err error
			_ = c.tcp.SetDeadline(end.Add(time.Minute))
			for last := time.Now(); err == nil && last.Before(end); {
				err = c.Do(b)
				now := time.Now()
				_ = h.RecordValue(int64(now.Sub(last)))
				last = now
				n += int64(b.Messages)
			}
			mu.Lock()
			defer mu.Unlock()
			res.Messages += n
			res.Latency.Merge(h)
			if first == nil {
				first = err
			}
		})
	}
	all.Wait()
	res.Elapsed = time.Since(start)
	return res, first
}

// Flood sends messages of size bytes as fast as the server takes them, on every
// connection, and reads off what comes back, until the stop that it returns is
// called.
func (l *Load) Flood(size int) (stop func()) {
	out := NewBatch(256, size, true, l.raw).out
	var all sync.WaitGroup
	for _, c := range l.conns {
		all.Go(func() {
			for {
				if _, err := c.tcp.Write(out); err != nil {
					return
				}
			}
		})
		all.Go(func() {
			b := make([]byte, 64<<10)
			for {
				if _, err := c.tcp.Read(b); err != nil {
					return
				}
			}
		})
	}
	return func() {
		l.Close()
		all.Wait()
	}
}

// Attend keeps all connections until t and answers pings. It returns how many
// came.
func (l *Load) Attend(t time.Time) (pings int, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, c := range l.conns {
		all.Go(func() {
			n, e := c.Attend(t)
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

// Alive sends one message on each connection and returns how many came back.
func (l *Load) Alive() int {
	b := NewBatch(1, 5, true, l.raw)
	n := 0
	for _, c := range l.conns {
		_ = c.tcp.SetDeadline(time.Now().Add(5 * time.Second))
		if c.Do(b) == nil {
			n++
		}
		_ = c.tcp.SetDeadline(time.Time{})
	}
	return n
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1000, int64(time.Minute), 3)
}
