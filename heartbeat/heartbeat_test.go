package heartbeat_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
)

// The clock of these tests is that of synctest. By default a ping is due every minute, and
// its pong within 20 seconds.
const (
	interval = time.Minute
	timeout  = 20 * time.Second
)

// A pinger is a fake connection. Ping number n, from 1, waits for answer, or for
// ctx if there is none.
type pinger struct {
	answer func(ctx context.Context, n int) error

	mu      sync.Mutex
	more    sync.Cond
	sent    []time.Time
	running int
}

func (p *pinger) lock() {
	p.mu.Lock()
	p.more.L = &p.mu
}

func (p *pinger) Ping(ctx context.Context) error {
	p.lock()
	p.sent = append(p.sent, time.Now())
	p.more.Broadcast()
	p.running++
	n := len(p.sent)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.running--
		p.mu.Unlock()
	}()
	if p.answer != nil {
		return p.answer(ctx, n)
	}
	return silence(ctx)
}

// waitPing waits for ping number n and returns when it was sent.
func (p *pinger) waitPing(n int) time.Time {
	p.lock()
	defer p.mu.Unlock()
	for len(p.sent) < n {
		p.more.Wait()
	}
	return p.sent[n-1]
}

func (p *pinger) pings() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sent)
}

func silence(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("failed to wait for pong: %w", ctx.Err())
}

// A fakeTransport is a TransportState whose values do sets.
type fakeTransport struct {
	mu                      sync.Mutex
	received, reading, left time.Time
	unsent                  int
	writing                 bool
}

func (e *fakeTransport) do(f func(e *fakeTransport)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e)
}

func get[T any](e *fakeTransport, v *T) T {
	e.mu.Lock()
	defer e.mu.Unlock()
	return *v
}

func (e *fakeTransport) LastReceived() time.Time { return get(e, &e.received) }
func (e *fakeTransport) ReadingSince() time.Time { return get(e, &e.reading) }
func (e *fakeTransport) PingSent() time.Time     { return get(e, &e.left) }
func (e *fakeTransport) Unsent() int             { return get(e, &e.unsent) }
func (e *fakeTransport) Writing() bool           { return get(e, &e.writing) }

// pass is a ping that leaves at once. The peer is silent afterwards.
func (e *fakeTransport) pass(ctx context.Context, _ int) error {
	e.do(func(e *fakeTransport) { e.left = time.Now() })
	return silence(ctx)
}

// at sleeps until t.
func at(t time.Time) {
	time.Sleep(time.Until(t))
	synctest.Wait()
}

func newMonitor(t *testing.T, o heartbeat.Options) *heartbeat.Monitor {
	t.Helper()
	if o.Interval == 0 {
		o.Interval, o.Timeout = interval, timeout
	}
	m, err := heartbeat.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A run is a Monitor's Run in a goroutine.
type run struct {
	err     error
	ended   time.Time
	done    chan struct{}
	running int // pings that had not returned when Run did
}

func start(ctx context.Context, m *heartbeat.Monitor, p *pinger) *run {
	r := &run{done: make(chan struct{})}
	go func() {
		r.err = m.Run(ctx, p)
		r.ended = time.Now()
		p.mu.Lock()
		r.running = p.running
		p.mu.Unlock()
		close(r.done)
	}()
	return r
}

// wait returns the result of Run, which must have ended all pings.
func (r *run) wait(t *testing.T) error {
	t.Helper()
	<-r.done
	if r.running != 0 {
		t.Errorf("%d pings outlived Run", r.running)
	}
	return r.err
}

// verdict returns the verdict with which Run ended.
func (r *run) verdict(t *testing.T) *heartbeat.Verdict {
	t.Helper()
	var v *heartbeat.Verdict
	if err := r.wait(t); !errors.As(err, &v) {
		t.Fatalf("Run returned %v, want a verdict", err)
	}
	return v
}

func (r *run) isRunning() bool {
	synctest.Wait()
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

func TestNew(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		o    heartbeat.Options
		want string // of the error; empty: none
	}{
		{heartbeat.Options{}, ""},
		{heartbeat.Options{Interval: 1}, ""},
		{heartbeat.Options{Interval: math.MaxInt64, Timeout: math.MaxInt64, MaxMissed: math.MaxInt}, ""},
		{heartbeat.Options{MaxMissed: math.MinInt}, ""},
		{heartbeat.Options{Interval: day, Timeout: day}, ""},
		{heartbeat.Options{Timeout: 20 * time.Second}, ""},
		{heartbeat.Options{Timeout: 30 * time.Second}, "heartbeat: Timeout 30s is longer than Interval 20s"},
		{heartbeat.Options{Interval: day, Timeout: day + 1}, "heartbeat: Timeout 24h0m0.000000001s is longer than Interval 24h0m0s"},
		{heartbeat.Options{Interval: -time.Second}, "heartbeat: Interval -1s is negative; to have no heartbeat, do not run one"},
		{heartbeat.Options{Interval: math.MinInt64, Timeout: 1}, "heartbeat: Interval -2562047h47m16.854775808s is negative; to have no heartbeat, do not run one"},
		{heartbeat.Options{Timeout: -1}, "heartbeat: Timeout -1ns is negative"},
	}
	for _, tt := range tests {
		m, err := heartbeat.New(tt.o)
		if got := fmt.Sprint(err); got != tt.want && (tt.want != "" || err != nil) {
			t.Errorf("New(%+v): %s, want %q", tt.o, got, tt.want)
		}
		if (m == nil) != (err != nil) {
			t.Errorf("New(%+v) = %v, %v", tt.o, m, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	tests := []struct {
		o       heartbeat.Options
		timeout time.Duration
		misses  int
	}{
		{heartbeat.Options{}, 10 * time.Second, 3},
		{heartbeat.Options{Interval: 4 * time.Second}, 2 * time.Second, 3},
		{heartbeat.Options{Interval: time.Hour}, 10 * time.Second, 3},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			m, err := heartbeat.New(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			p := &pinger{}
			begin := time.Now()
			r := start(t.Context(), m, p)
			v := r.verdict(t)
			if !v.LastReceived.IsZero() || v.Silent != r.ended.Sub(begin) {
				t.Errorf("never received: %+v, want silence for %v", v, r.ended.Sub(begin))
			}
			if got := r.ended.Sub(p.sent[len(p.sent)-1]); got != tt.timeout || v.Missed != tt.misses {
				t.Errorf("%+v: timeout %v and %d misses, want %v and %d", tt.o, got, v.Missed, tt.timeout, tt.misses)
			}
		})
	}
}

// The first ping is sent at any point of the first interval, the others one per tick.
func TestFirstPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var quarters [4]int
		for range 200 {
			p := &pinger{answer: func(context.Context, int) error { return nil }}
			ctx, cancel := context.WithCancel(t.Context())
			begin := time.Now()
			r := start(ctx, newMonitor(t, heartbeat.Options{}), p)
			time.Sleep(4 * interval)
			cancel()
			r.wait(t)
			first := p.sent[0].Sub(begin)
			if first <= 0 || first > interval {
				t.Fatalf("first ping after %v, want within the first %v", first, interval)
			}
			quarters[(first-1)*4/interval]++
			for i, sent := range p.sent[1:] {
				if got := sent.Sub(p.sent[i]); got != interval {
					t.Fatalf("ping %d was sent %v after the one before, want %v", i+2, got, interval)
				}
			}
		}
		for i, n := range quarters {
			if n < 15 { // of 50 on average: one run in 10^10 has fewer
				t.Errorf("%d of 200 first pings in quarter %d of the interval", n, i+1)
			}
		}
	})
}

func TestDead(t *testing.T) {
	tests := []struct{ maxMissed, want int }{
		{math.MinInt, 1}, {-1, 1}, {0, 3}, {1, 2}, {2, 3}, {3, 4}, {10, 11},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.maxMissed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMonitor(t, heartbeat.Options{MaxMissed: tt.maxMissed})
				p := &pinger{}
				begin := time.Now()
				r := start(t.Context(), m, p)

				// The last sign of life is right behind a ping.
				first := p.waitPing(1)
				at(first.Add(1))
				m.Received()
				received := time.Now()
				v := r.verdict(t)

				// With a sign of life one nanosecond earlier, that ping would have been a
				// miss. So this is the longest possible time.
				bound := time.Duration(tt.want)*interval + timeout
				if got := r.ended.Sub(received); got != bound-1 {
					t.Errorf("given up %v after its last byte, want %v", got, bound-1)
				}
				if got := len(p.sent); got != tt.want+1 {
					t.Errorf("%d pings, want %d", got, tt.want+1)
				}
				if v.State != heartbeat.Dead || v.Missed != tt.want || !v.LastReceived.Equal(received) || v.Silent != bound-1 || !v.Timeout() {
					t.Errorf("%+v", v)
				}
				if first.Sub(begin) > interval {
					t.Errorf("first ping after %v", first.Sub(begin))
				}
				s := m.Stats()
				if s.State != heartbeat.Dead || s.Missed != uint64(tt.want) || s.Late != 1 || s.Sent != uint64(tt.want+1) {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestVerdict(t *testing.T) {
	tests := []struct {
		v    *heartbeat.Verdict
		kind ending.Kind
		text string
	}{
		{&heartbeat.Verdict{State: heartbeat.Dead, Silent: 70*time.Second + 1, Missed: 3}, ending.NoPong,
			"heartbeat: no pong: pings missed in a row: 3, nothing received for 1m10s"},
		{&heartbeat.Verdict{State: heartbeat.WriteStalled, Silent: time.Minute}, ending.WriteStalled,
			"heartbeat: write stalled: no ping could be sent, nothing received for 1m0s"},
		{&heartbeat.Verdict{Silent: math.MaxInt64, Missed: math.MinInt}, ending.NoPong,
			"heartbeat: no pong: pings missed in a row: -9223372036854775808, nothing received for 2562047h47m16.854775807s"},
	}
	for _, tt := range tests {
		err := fmt.Errorf("wrapped: %w", tt.v)
		var end *ending.Error
		var timeout interface{ Timeout() bool }
		if !errors.As(err, &end) || end.Kind != tt.kind || len(end.Reason) > 123 {
			t.Errorf("%v is %+v, want kind %v", err, end, tt.kind)
		}
		if got := ending.Of(err); got.Kind != tt.kind || got.Code != tt.kind.Code() || got.By != ending.Local {
			t.Errorf("%v ends as %+v", err, got)
		}
		if !errors.As(err, &timeout) || !timeout.Timeout() || errors.Is(err, net.ErrClosed) {
			t.Errorf("%v is no timeout, or net.ErrClosed", err)
		}
		if tt.v.Error() != tt.text {
			t.Errorf("%q, want %q", tt.v.Error(), tt.text)
		}
	}
}

func TestState(t *testing.T) {
	var got []string
	for s := heartbeat.Alive; s <= heartbeat.Dead+1; s++ {
		got = append(got, s.String())
	}
	if got, want := strings.Join(got, ", "), "alive, late, write stalled, dead, state 4"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
