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
	from, to time.Duration // what is measured, since it began
	stopped  atomic.Bool   // nothing is sent any more

	mu       sync.Mutex
	failures failures
	right    int64 // messages that came back, in the warm-up too
	lost     int64 // messages on connections that have failed
	local    bool  // the server is on this machine

	begun    bool             // to measure
	cpu      [2]time.Duration // of this process, at from and when it stopped
	measured time.Duration    // how long from is past when it stopped, 0 if not reached
}

// now returns the time since the run began.
func (t *run) now() time.Duration { return time.Since(t.began) }

// over reports whether nothing more is to be sent at the time now.
func (t *run) over(now time.Duration) bool { return now >= t.to || t.stopped.Load() }

// dueAt is when message i of a connection is due, with a rate.
func (t *run) dueAt(conn int, i int64) time.Duration {
	n := float64(conn) + float64(i)*float64(len(t.conns))
	return time.Duration(n / t.plan.Rate * float64(time.Second))
}

// account is for n messages, from the given one on, that came back.
func (c *conn) account(from int64, n int, now time.Duration) {
	t, p := c.owner, c.part
	p.mu.Lock()
	defer p.mu.Unlock()
	if now >= t.from && !t.over(now) {
		p.count += int64(n)
	}
	for i := from; i < from+int64(n); {
		k := int64(1)
		var since time.Duration
		if t.plan.Rate > 0 {
			since = t.dueAt(c.id, i)
		} else {
			at := c.at[i%int64(len(c.at))]
			for i+k < from+int64(n) && c.at[(i+k)%int64(len(c.at))] == at {
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

// fail is for a connection that has ended before its time.
func (t *run) fail(c *conn, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := faultOf(err)
	if f.what == "" {
		return // nobody waited any longer
	}
	t.failures.add(f)
	t.lost += c.due.Load() - c.received.Load()
}

// open makes the connections. One that fails does not stop the others, except for the
// first: then there is no server.
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
	addr = o.RemoteAddr().String() // a name may have several, and they are not asked for again
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
	}
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
	var lives sync.WaitGroup
	for _, c := range t.conns {
		lives.Go(c.run)
	}
	gone, fed := make(chan struct{}), make(chan struct{})
	go func() {
		lives.Wait()
		close(gone)
	}()
	go func() {
		defer close(fed)
		t.feed(ctx, gone)
	}()
	t.watch(ctx, gone, fed)
	for _, c := range t.conns {
		t.right += c.received.Load()
	}
}

// feed returns when nothing more is to be sent. With a rate it says when each is.
func (t *run) feed(ctx context.Context, gone <-chan struct{}) {
	if t.plan.Rate > 0 {
		t.pace(ctx, gone)
		return
	}
	end := time.NewTimer(t.to - t.now())
	defer end.Stop()
	select {
	case <-end.C:
	case <-ctx.Done():
	case <-gone:
	}
}

// stop is when nothing more is to be sent.
func (t *run) stop() {
	if now := min(t.now(), t.to); now > t.from {
		t.measured = now - t.from
		t.measuring(false)
	}
	t.stopped.Store(true)
	for _, c := range t.conns {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // it may wait for what will not come
	}
}

// measuring is called at from, and when it is over.
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

// patience is how long those that have been interrupted may take to end well.
const patience = time.Second

// watch looks after the connections until all are gone.
func (t *run) watch(ctx context.Context, gone, fed <-chan struct{}) {
	const telling = 500 * time.Millisecond
	warm := time.NewTimer(t.from)
	defer warm.Stop()
	tick := time.NewTicker(min(max(t.plan.Timeout/8, time.Millisecond), telling))
	defer tick.Stop()
	var told, interrupted time.Duration
	marks := make([]mark, len(t.conns))
	for {
		select {
		case <-warm.C:
			if !t.stopped.Load() {
				t.measuring(true)
			}
			continue
		case <-fed:
			fed = nil
			t.stop()
			continue
		case <-gone:
			if fed != nil {
				<-fed
				t.stop()
			}
			return
		case <-tick.C:
		}
		now := t.now()
		if ctx.Err() != nil && interrupted == 0 {
			interrupted = now
		}
		for i, c := range t.conns {
			marks[i].look(c, now, interrupted > 0 && now-interrupted > patience)
		}
		if now-told >= telling {
			fresh := t.recorder.take()
			t.mu.Lock()
			n := t.failures.count()
			t.mu.Unlock()
			t.progress(float64(fresh.TotalCount())/(now-told).Seconds(), time.Duration(fresh.ValueAtQuantile(99)), n)
			told = now
		}
	}
}

// A mark is when a connection was last seen to move.
type mark struct {
	at              time.Duration
	received, moved int64
}

// look cuts c if it should have moved, and has not for the timeout; or if it has to
// end now.
func (m *mark) look(c *conn, now time.Duration, end bool) {
	received, moved := c.received.Load(), c.moved.Load()
	missing := c.due.Load() - received
	if missing == 0 || received != m.received || moved != m.moved {
		m.at, m.received, m.moved = now, received, moved
	}
	var f fault
	switch {
	case end:
	case now-m.at > c.owner.plan.Timeout:
		f = fault{silent, fmt.Sprintf("for %v, with %d messages to come", c.owner.plan.Timeout, missing)}
	default:
		return
	}
	c.cut.Store(&f)
	_ = c.SetDeadline(time.Unix(1, 0))
}

// isLocal reports whether a is an address of this machine.
func isLocal(a net.Addr) bool {
	host, _, err := net.SplitHostPort(a.String())
	ip := net.ParseIP(host)
	if err != nil || ip == nil {
		return false
	}
	own, _ := net.InterfaceAddrs() // without them, loopback is what there is
	for _, o := range own {
		if n, ok := o.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return ip.IsLoopback()
}
