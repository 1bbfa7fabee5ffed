package heartbeat_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/heartbeat"
)

// A Monitor sends no ping behind a stalled write, and gives no verdict too early.
func TestWriteStalled(t *testing.T) {
	for _, maxMissed := range []int{-1, 1, 2, 5} {
		synctest.Test(t, func(t *testing.T) {
			bound := time.Duration(max(0, maxMissed)+1)*interval + timeout
			e := &fakeTransport{reading: time.Now()}
			m := newMonitor(t, heartbeat.Options{TransportState: e, MaxMissed: maxMissed})
			p := &pinger{answer: func(ctx context.Context, n int) error {
				e.do(func(e *fakeTransport) { e.left = time.Now() })
				m.OnPong(ctx, nil)
				return nil
			}}
			r := start(t.Context(), m, p)
			first := p.waitPing(1)

			e.do(func(e *fakeTransport) { e.writing, e.unsent = true, 1<<20 })
			if got := m.Stats().State; got != heartbeat.Alive {
				t.Errorf("%v before the tick", got)
			}
			at(first.Add(interval))
			if got := m.Stats().State; got != heartbeat.WriteStalled {
				t.Errorf("%v at the tick", got)
			}

			// The kernel accepts a byte just before the end, so the wait begins anew.
			at(first.Add(interval + bound - 1))
			e.do(func(e *fakeTransport) { e.unsent-- })
			stalled := first.Add(interval + bound - timeout + interval)
			at(stalled.Add(bound - 1))
			if !r.isRunning() {
				t.Fatalf("%v too early", r.err)
			}
			v := r.verdict(t)
			if got := r.ended.Sub(stalled); got != bound || v.State != heartbeat.WriteStalled || v.Missed != 0 || !v.LastReceived.Equal(first) {
				t.Errorf("%+v after %v, want %v", v, got, bound)
			}
			if s := m.Stats(); s.Sent != 1 || p.pings() != 1 || s.State != heartbeat.WriteStalled || s.Missed != 0 {
				t.Errorf("%d pings, %+v", p.pings(), s)
			}
		})
	}
}

// Stalls that a ping gets through between are not one long stall.
func TestStallsInARow(t *testing.T) {
	for _, unread := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			e := &fakeTransport{reading: time.Now()}
			m := newMonitor(t, heartbeat.Options{TransportState: e, MaxMissed: 1}) // three are the end
			p := &pinger{answer: func(ctx context.Context, n int) error {
				if n != 3 {
					return silence(ctx) // it does not leave
				}
				if unread {
					e.do(func(e *fakeTransport) { e.reading = time.Time{} })
				}
				return e.pass(ctx, n)
			}}
			r := start(t.Context(), m, p)
			v := r.verdict(t)
			if s := m.Stats(); v.State != heartbeat.WriteStalled || s.Stalled != 5 || s.Unread+s.Missed != 1 || (s.Unread == 1) != unread {
				t.Errorf("%+v after %+v", v, s)
			}
		})
	}
}

// While the kernel accepts bytes, a stall does not end the connection. After the stall,
// pings continue.
func TestWriteStallRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeTransport{reading: time.Now(), writing: true, unsent: 1000}
		m := newMonitor(t, heartbeat.Options{TransportState: e, MaxMissed: -1})
		p := &pinger{answer: func(ctx context.Context, n int) error {
			e.do(func(e *fakeTransport) { e.left = time.Now() })
			time.Sleep(time.Second)
			m.OnPong(ctx, nil)
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		r := start(ctx, m, p)
		for range 500 {
			time.Sleep(interval + timeout/2) // less than the bound, out of step with the ticks
			e.do(func(e *fakeTransport) { e.unsent-- })
		}
		if s := m.Stats(); !r.isRunning() || s.State != heartbeat.WriteStalled || s.Sent != 0 {
			t.Fatalf("%v, %+v", r.err, s)
		}
		e.do(func(e *fakeTransport) { e.unsent, e.writing = 0, false })
		at(p.waitPing(1).Add(time.Second))
		if s := m.Stats(); s.State != heartbeat.Alive || s.Answered != 1 {
			t.Errorf("%+v", s)
		}
		cancel()
		if err := r.wait(t); err != nil {
			t.Error(err)
		}
	})
}

// TestShortStall: a write stalls at the tick and ends before the timeout. With a sign of
// life, it counts as no stall. A write that still stalls counts, although the peer lives.
func TestShortStall(t *testing.T) {
	for _, over := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			e := &fakeTransport{reading: time.Now(), unsent: 10, writing: true}
			m := newMonitor(t, heartbeat.Options{TransportState: e})
			ctx, cancel := context.WithCancel(t.Context())
			r := start(ctx, m, new(pinger))
			for m.Stats().State != heartbeat.WriteStalled {
				time.Sleep(time.Second)
			}
			e.do(func(e *fakeTransport) { e.unsent, e.writing = 0, !over })
			time.Sleep(timeout)
			s := m.Stats()
			if (s.State == heartbeat.Alive) != over || (s.State == heartbeat.WriteStalled) == over || s.Sent != 0 || s.Stalled != 0 {
				t.Errorf("over %v: %+v", over, s)
			}
			cancel()
			r.wait(t)
		})
	}
}

// If the kernel cannot send because earlier bytes were not acknowledged, the ping is a
// miss. Unsent becomes negative and later positive again. Neither change is a sign of
// life.
func TestNothingAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxMissed = 3
		e := &fakeTransport{reading: time.Now(), unsent: 1000}
		m := newMonitor(t, heartbeat.Options{TransportState: e, MaxMissed: maxMissed})
		p := &pinger{answer: func(ctx context.Context, n int) error {
			e.do(func(e *fakeTransport) { e.unsent = -1 })
			return e.pass(ctx, n)
		}}
		r := start(t.Context(), m, p)
		first := p.waitPing(1)
		v := r.verdict(t)
		if got, want := r.ended.Sub(first), maxMissed*interval+timeout; got != want || v.State != heartbeat.Dead || v.Missed != maxMissed+1 {
			t.Errorf("%+v after %v, want it dead after %v", v, got, want)
		}
	})
}
