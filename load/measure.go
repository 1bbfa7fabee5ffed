package load

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"example.com/wsecho/internal/handshake"
)

// A run measures one server in one round.
type run struct {
	plan     *Plan
	url      *url.URL
	messages *messages
	recorder *recorder
	conns    []*conn
	progress func(rate float64, p99 time.Duration, failures int)

	began    time.Time
	from, to time.Duration // the measured time, since it began
	stopped  atomic.Bool   // no more messages are sent

	mu       sync.Mutex
	failures failures
	echoed   int64 // echoed messages, in the warm-up too
	lost     int64 // messages on connections that have failed
	local    bool  // the server is on this machine

	begun    bool             // Plan.Measuring was called
	cpu      [2]time.Duration // processor time of this process, at from and at the end
	measured time.Duration    // 0: the run ended before from
}

// now returns the time since the run began.
func (t *run) now() time.Duration { return time.Since(t.began) }

// over reports whether no more messages are sent at the time now.
func (t *run) ended(now time.Duration) bool { return now >= t.to || t.stopped.Load() }

// dueAt returns when message i of a connection is due, in an open loop.
func (t *run) dueAt(conn int, i int64) time.Duration {
	n := float64(conn) + float64(i)*float64(len(t.conns))
	return time.Duration(n / t.plan.Rate * float64(time.Second))
}

// record records n echoed messages, beginning with message from.
func (c *conn) record(from int64, n int, now time.Duration) {
	t, p := c.owner, c.shard
	p.mu.Lock()
	defer p.mu.Unlock()
	if now >= t.from && !t.ended(now) {
		p.count += int64(n)
	}
	for i := from; i < from+int64(n); {
		k := int64(1)
		var since time.Duration
		if t.plan.Rate > 0 {
			since = t.dueAt(c.id, i)
		} else {
			at := c.readyAt[i%int64(len(c.readyAt))]
			for i+k < from+int64(n) && c.readyAt[(i+k)%int64(len(c.readyAt))] == at {
				k++
			}
			since = time.Duration(at)
		}
		if since >= t.from && since < t.to {
			p.record(now-since, int(k))
		}
		i += k
	}
}

// fail records a connection that ended too early.
func (t *run) fail(c *conn, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := faultOf(err)
	if f.what == "" {
		return // watch has ended it after an interruption
	}
	t.failures.add(f)
	t.lost += c.due.Load() - c.received.Load()
}

// open opens the connections. If the first one fails, there is no server, and open does
// not try the others.
func (t *run) open(ctx context.Context) {
	addr := handshake.Address(t.url)
	try := func() *opened {
		o, err := open(ctx, t.plan, t.url, addr)
		if err != nil && ctx.Err() == nil {
			t.mu.Lock()
			t.failures.add(faultOf(err))
			t.mu.Unlock()
		}
		return o
	}
	o := try()
	if o == nil {
		return
	}
	addr = o.RemoteAddr().String() // all connections go to one address, and the name is looked up once
	t.local = isLocal(o.RemoteAddr())
	all := []*opened{o}
	next := make(chan struct{})
	var wg sync.WaitGroup
	for range min(t.plan.Connections-1, 64) {
		wg.Go(func() {
			for range next {
				if o := try(); o != nil {
					t.mu.Lock()
					all = append(all, o)
					t.mu.Unlock()
				}
			}
		})
	}
	for range t.plan.Connections - 1 {
		if ctx.Err() != nil {
			break
		}
		next <- struct{}{}
	}
	close(next)
	wg.Wait()
	for id, o := range all {
		t.conns = append(t.conns, newConn(t, o, id))
		wg.Go(t.conns[id].skipGreeting)
	}
	wg.Wait()
}

// run measures. It returns when all connections have ended.
func (t *run) run(ctx context.Context) {
	t.open(ctx)
	if len(t.conns) == 0 {
		return
	}
	t.from = t.plan.Warmup
	t.to = t.from + t.plan.Duration
	t.began = time.Now()
	var running sync.WaitGroup
	for _, c := range t.conns {
		running.Go(c.run)
	}
	ended, sent := make(chan struct{}), make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	go func() {
		defer close(sent)
		t.feed(ctx, ended)
	}()
	t.watch(ctx, ended, sent)
	for _, c := range t.conns {
		t.echoed += c.received.Load()
	}
}

// feed returns when no more messages are due. In an open loop it makes each one due at its
// time.
func (t *run) feed(ctx context.Context, ended <-chan struct{}) {
	if t.plan.Rate > 0 {
		t.pace(ctx, ended)
		return
	}
	end := time.NewTimer(t.to - t.now())
	defer end.Stop()
	select {
	case <-end.C:
	case <-ctx.Done():
	case <-ended:
	}
}

// stop ends the sending. The messages in flight can still be echoed.
func (t *run) stop() {
	if now := min(t.now(), t.to); now > t.from {
		t.measured = now - t.from
		t.measuring(false)
	}
	t.stopped.Store(true)
	for _, c := range t.conns {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // the reader checks whether it must wait
	}
}

// measuring is called when the measured time begins and when it ends.
func (t *run) measuring(begins bool) {
	at := 1
	if begins {
		at, t.begun = 0, true
	}
	if t.plan.Measuring != nil && t.begun {
		t.plan.Measuring(begins)
	}
	t.cpu[at] = processorTime()
}

// interruptGrace is the time for the echoes of messages in flight after an interruption.
const interruptGrace = time.Second

// watch ends stalled connections and reports progress, until all connections have ended.
// sent is closed when no more messages are due.
func (t *run) watch(ctx context.Context, ended, sent <-chan struct{}) {
	const reportInterval = 500 * time.Millisecond
	warm := time.NewTimer(t.from)
	defer warm.Stop()
	tick := time.NewTicker(min(max(t.plan.Timeout/8, time.Millisecond), reportInterval))
	defer tick.Stop()
	var reported time.Duration
	var grace <-chan time.Time // runs after an interruption
	interrupted, end := ctx.Done(), false
	watched := make([]progress, len(t.conns))
	for {
		select {
		case <-warm.C:
			if !t.stopped.Load() {
				t.measuring(true)
			}
			continue
		case <-sent:
			sent = nil
			t.stop()
			continue
		case <-ended:
			if sent != nil {
				<-sent
				t.stop()
			}
			return
		case <-interrupted:
			interrupted, grace = nil, time.After(interruptGrace)
			continue
		case <-grace:
			end = true
		case <-tick.C:
		}
		now := t.now()
		for i, c := range t.conns {
			watched[i].check(c, now, end)
		}
		if now-reported >= reportInterval {
			fresh := t.recorder.collect()
			t.mu.Lock()
			n := t.failures.count()
			t.mu.Unlock()
			t.progress(float64(fresh.TotalCount())/(now-reported).Seconds(), time.Duration(fresh.ValueAtQuantile(99)), n)
			reported = now
		}
	}
}

// A progress is the last known progress of a connection.
type progress struct {
	at              time.Duration
	received, moved int64
}

// check ends c if messages are due and none made progress for Plan.Timeout, or if end is
// true.
func (p *progress) check(c *conn, now time.Duration, end bool) {
	received, moved := c.received.Load(), c.moved.Load()
	missing := c.due.Load() - received
	if missing == 0 || received != p.received || moved != p.moved {
		p.at, p.received, p.moved = now, received, moved
	}
	var f fault
	switch {
	case end:
	case now-p.at > c.owner.plan.Timeout:
		f = fault{silent, fmt.Sprintf("for %v, with %d messages in flight", c.owner.plan.Timeout, missing)}
	default:
		return
	}
	c.aborted.Store(&f)
	_ = c.SetDeadline(time.Unix(1, 0))
}

// isLocal reports whether a is an address of this machine.
func isLocal(a net.Addr) bool {
	host, _, err := net.SplitHostPort(a.String())
	ip := net.ParseIP(host)
	if err != nil || ip == nil {
		return false
	}
	own, _ := net.InterfaceAddrs() // without them, only loopback is local
	for _, o := range own {
		if n, ok := o.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return ip.IsLoopback()
}
