package grid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/wsecho/bench/client"
	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/peers"
	"example.com/wsecho/bench/result"
)

// churn measures clients that connect, echo one message and close, repeatedly.
func (r *run) churn(ctx context.Context, c *result.Cell, p peers.Peer) (map[string]float64, []string, error) {
	proc, err := r.start(ctx, c, p)
	if err != nil {
		return nil, nil, err
	}
	defer proc.Stop()
	w := windowOn(proc)
	url, text := urlOf(c, p, proc), strings.Repeat("a", c.Size)
	repeat := func(d time.Duration) (n int64, err error) {
		end := time.Now().Add(d)
		var all sync.WaitGroup
		var count atomic.Int64
		var mu sync.Mutex
		for range c.Connections {
			all.Go(func() {
				for time.Now().Before(end) && ctx.Err() == nil {
					// A server that answers no close frame fails a check. Its churn still counts.
					if e := client.Visit(ctx, url, text, replyTimeout); e != nil && !(errors.Is(e, client.ErrNoClose) && errors.Is(e, io.EOF)) {
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							err = e
						}
						return
					}
					count.Add(1)
				}
			})
		}
		all.Wait()
		return count.Load(), err
	}
	if _, err := repeat(r.Warmup); err != nil {
		return nil, nil, err
	}
	w.mark(true)
	began := time.Now()
	n, err := repeat(r.Duration)
	took := time.Since(began)
	w.mark(false)
	if err := errors.Join(err, w.err); err != nil {
		return nil, nil, err
	}
	f := w.figures(0, took)
	f["connects"] = float64(n) / took.Seconds()
	if n > 0 {
		f["cpu_us_conn"] = micro(w.cpu[1]-w.cpu[0]) / float64(n)
	}
	return f, nil, nil
}

// idle measures connections that only answer pings.
func (r *run) idle(ctx context.Context, c *result.Cell, p peers.Peer) (map[string]float64, []string, error) {
	proc, err := r.start(ctx, c, p)
	if err != nil {
		return nil, nil, err
	}
	defer proc.Stop()
	w := windowOn(proc)
	before, l, err := r.open(ctx, proc, urlOf(c, p, proc), c.Connections)
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, l.Close)() // AnswerPings takes seconds
	// Most of the time lets the server collect the garbage of the handshakes.
	if _, err := l.AnswerPings(time.Now().Add(r.IdleFor * 3 / 4)); err != nil {
		return nil, nil, err
	}
	w.mark(true)
	began := time.Now()
	pings, err := l.AnswerPings(began.Add(r.IdleFor / 4))
	if err != nil {
		return nil, nil, err
	}
	took := time.Since(began)
	w.mark(false)
	if w.err != nil {
		return nil, nil, w.err
	}
	alive := l.Alive()
	var wrong []string
	if alive < c.Connections {
		wrong = append(wrong, fmt.Sprintf("of %d idle connections, %d were alive at the end", c.Connections, alive))
	}
	f := map[string]float64{
		"idle_kib":    float64(w.rss-before) / KiB / float64(c.Connections),
		"idle_cpu_ms": (w.cpu[1] - w.cpu[0]).Seconds() * 1e3 / took.Seconds(),
		"pings":       float64(pings) / took.Seconds(),
		"alive":       float64(alive) / float64(c.Connections),
	}
	return f, wrong, nil
}

// open reads the resident memory of a server, and then opens n connections to it. It
// opens connections to one server at a time, so that servers do not disturb each other.
func (r *run) open(ctx context.Context, proc *measure.Process, url string, n int) (before int64, l *client.Pool, err error) {
	r.connecting.Lock()
	defer r.connecting.Unlock()
	if before, err = proc.Resident(); err != nil {
		return 0, nil, err
	}
	l, err = client.Open(ctx, url, n)
	return before, l, err
}
