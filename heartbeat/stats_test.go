package heartbeat_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/heartbeat"
)

const ms = time.Millisecond

// pongs answers ping number n after delay[n-1] and closes nothing after the last.
func pongs(m *heartbeat.Monitor, delay ...time.Duration) func(context.Context, int) error {
	return func(ctx context.Context, n int) error {
		if n > len(delay) {
			return silence(ctx)
		}
		time.Sleep(delay[n-1])
		m.OnPong(ctx, nil)
		return nil
	}
}

func TestRTT(t *testing.T) {
	tests := []struct {
		name   string
		delays []time.Duration
		want   heartbeat.RTT
	}{
		{"none", nil, heartbeat.RTT{}},
		{"one", []time.Duration{7 * ms}, heartbeat.RTT{Count: 1, Last: 7 * ms, Min: 7 * ms, Mean: 7 * ms, Max: 7 * ms}},
		{"no time", []time.Duration{0, 0}, heartbeat.RTT{Count: 2}},
		{"three", []time.Duration{30 * ms, 10 * ms, 20 * ms},
			heartbeat.RTT{Count: 3, Last: 20 * ms, Min: 10 * ms, Mean: 20 * ms, Max: 30 * ms, Deviation: 10 * ms}},
		{"far from zero", []time.Duration{10*time.Second + 4, 10*time.Second + 7, 10*time.Second + 13, 10*time.Second + 16},
			heartbeat.RTT{Count: 4, Last: 10*time.Second + 16, Min: 10*time.Second + 4, Mean: 10*time.Second + 10,
				Max: 10*time.Second + 16, Deviation: 5}}, // the root of 30
		{"after the timeout too", []time.Duration{10 * time.Second, 30 * time.Second},
			heartbeat.RTT{Count: 2, Last: 30 * time.Second, Min: 10 * time.Second, Mean: 20 * time.Second,
				Max: 30 * time.Second, Deviation: 14142135623}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMonitor(t, heartbeat.Options{})
				p := new(pinger)
				p.answer = pongs(m, tt.delays...)
				ctx, cancel := context.WithCancel(t.Context())
				r := start(ctx, m, p)
				p.waitPing(len(tt.delays) + 1)
				cancel()
				r.wait(t)
				if got := m.Stats().RTT; got != tt.want {
					t.Errorf("got  %+v\nwant %+v", got, tt.want)
				}
			})
		})
	}
}

// Without OnPong, a Ping that returns without an error is a pong.
func TestRTTWithoutOnPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{MaxMissed: -1})
		p := &pinger{answer: func(context.Context, int) error {
			time.Sleep(5 * ms)
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		r := start(ctx, m, p)
		p.waitPing(10)
		cancel()
		r.wait(t)
		s := m.Stats()
		if s.Answered != 9 && s.Answered != 10 || s.RTT.Min != 5*ms || s.RTT.Max != 5*ms || s.State != heartbeat.Alive {
			t.Errorf("%+v", s)
		}
	})
}

// The round trip begins when the ping left, if that time is known and plausible.
func TestRTTFromLeaving(t *testing.T) {
	tests := []struct {
		name string
		left time.Duration // after the ping was sent
		want time.Duration // the pong is 100 ms after SendPing
	}{
		{"at once", 0, 100 * ms},
		{"later", 40 * ms, 60 * ms},
		{"an older ping", -1, 100 * ms},
		{"after the pong", 200 * ms, 0},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			e := new(fakeTransport)
			m := newMonitor(t, heartbeat.Options{TransportState: e})
			p := &pinger{answer: func(ctx context.Context, _ int) error {
				e.do(func(e *fakeTransport) { e.left = time.Now().Add(tt.left) })
				time.Sleep(100 * ms)
				m.OnPong(ctx, []byte("1"))
				return nil
			}}
			ctx, cancel := context.WithCancel(t.Context())
			r := start(ctx, m, p)
			at(p.waitPing(1).Add(time.Second))
			cancel()
			r.wait(t)
			if got := m.Stats().RTT; got.Last != tt.want || got.Count != 1 {
				t.Errorf("%s: %+v, want %v", tt.name, got, tt.want)
			}
		})
	}
}

// Only the first pong after a ping is measured; one that answers no ping is
// not.
func TestRTTUnsolicited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{})
		m.OnPong(t.Context(), nil) // before Run
		if s := m.Stats(); s.RTT.Count != 0 || s.Answered != 0 || !s.LastReceived.Equal(time.Now()) {
			t.Errorf("before the first ping: %+v", s)
		}
		p := new(pinger)
		p.answer = func(ctx context.Context, n int) error {
			time.Sleep(ms)
			for range 5 {
				m.OnPong(ctx, nil)
				time.Sleep(ms)
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		r := start(ctx, m, p)
		at(p.waitPing(3).Add(time.Second))
		m.OnPong(ctx, nil)
		cancel()
		r.wait(t)
		s := m.Stats()
		if s.Answered != 3 || s.RTT != (heartbeat.RTT{Count: 3, Last: ms, Min: ms, Mean: ms, Max: ms}) {
			t.Errorf("%+v", s)
		}
	})
}

// A pong that may belong to an earlier ping is a sign of life and no measure.
func TestRTTAmbiguous(t *testing.T) {
	// Every pong is an interval and a half late. So the first pong after a ping answers
	// the ping before.
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{Interval: 2 * time.Second, Timeout: 2 * time.Second})
		p := &pinger{answer: func(ctx context.Context, n int) error {
			time.Sleep(3 * time.Second)
			m.OnPong(ctx, nil)
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		r := start(ctx, m, p)
		at(p.waitPing(10).Add(ms))
		s := m.Stats()
		cancel()
		r.wait(t)
		if s.RTT.Count != 0 || s.Missed != 1 || s.Answered != 8 {
			t.Errorf("%+v", s)
		}
	})

	// Three pings are never answered. The others are answered by their own pongs. After
	// the first of these, each pong belongs to one ping again.
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{MaxMissed: 3})
		p := new(pinger)
		p.answer = func(ctx context.Context, n int) error {
			if n <= 3 {
				return silence(ctx)
			}
			return pongs(m, 0, 0, 0, 5*ms, 6*ms)(ctx, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r := start(ctx, m, p)
		p.waitPing(6)
		cancel()
		r.wait(t)
		if s := m.Stats(); s.RTT.Count != 1 || s.RTT.Last != 6*ms || s.Answered != 2 || s.Missed != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// All methods that may be called concurrently are called concurrently, under the race
// detector.
func TestConcurrently(t *testing.T) {
	m := newMonitor(t, heartbeat.Options{Interval: 100 * time.Microsecond, MaxMissed: math.MaxInt32}) // no verdict
	e := &fakeTransport{reading: time.Now()}
	m.Use(e)
	p := &pinger{answer: func(ctx context.Context, n int) error {
		e.do(func(e *fakeTransport) { e.left = time.Now() })
		m.OnPong(ctx, nil)
		return nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, f := range []func(){
		func() { m.Stats() },
		func() { m.OnPong(ctx, nil) },
		func() { m.OnPing(ctx, nil) },
		m.Received,
	} {
		wg.Go(func() {
			for ctx.Err() == nil {
				f()
			}
		})
	}
	r := start(ctx, m, p)
	for m.Stats().Sent < 20 && ctx.Err() == nil {
		time.Sleep(ms)
	}
	cancel()
	wg.Wait()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func BenchmarkReceived(b *testing.B) {
	m, _ := heartbeat.New(heartbeat.Options{})
	b.ReportAllocs()
	for b.Loop() {
		m.Received()
	}
}

func BenchmarkStats(b *testing.B) {
	m, _ := heartbeat.New(heartbeat.Options{})
	b.ReportAllocs()
	for b.Loop() {
		m.Stats()
	}
}
