package heartbeat_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/heartbeat"
)

// With Immediate the first ping is at once, and the next one an interval later.
func TestImmediate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{Immediate: true})
		p := &pinger{}
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		r := start(ctx, m, p)
		for n := range 3 {
			if got, want := p.waitPing(n+1).Sub(began), time.Duration(n)*interval; got.Round(time.Microsecond) != want { // a timer of 1 ns begins
				t.Errorf("ping %d after %v, want %v", n+1, got, want)
			}
			m.Received()
		}
		cancel()
		if err := r.wait(t); err != nil {
			t.Error(err)
		}
	})
}

// Each sign of life appears once in every interval, without any other. No miss is
// forgiven.
func TestSignsOfLife(t *testing.T) {
	e := new(fakeTransport)
	signs := map[string]func(m *heartbeat.Monitor){
		"foreign pong": func(m *heartbeat.Monitor) { m.OnPong(context.Background(), []byte("mine")) },
		"empty pong":   func(m *heartbeat.Monitor) { m.OnPong(context.Background(), nil) },
		"Received":     func(m *heartbeat.Monitor) { m.Received() },
		"ping": func(m *heartbeat.Monitor) {
			if !m.OnPing(context.Background(), []byte("x")) {
				t.Error("OnPing forbids the pong")
			}
		},
		"a byte received": func(*heartbeat.Monitor) { e.do(func(e *fakeTransport) { e.received = time.Now() }) },
		"bytes accepted":  func(*heartbeat.Monitor) { e.do(func(e *fakeTransport) { e.unsent-- }) },
	}
	for name, sign := range signs {
		for _, after := range []time.Duration{1, timeout - 1, timeout + 1, interval - 1} {
			t.Run(fmt.Sprint(name, " after ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					*e = fakeTransport{reading: time.Now()}
					if name == "bytes accepted" {
						e.unsent = 1000
					}
					o := heartbeat.Options{TransportState: e, MaxMissed: -1}
					late := after > timeout
					if late {
						o.MaxMissed = 1 // the miss is counted before the sign of life
					}
					m := newMonitor(t, o)
					p := &pinger{answer: e.pass}
					ctx, cancel := context.WithCancel(t.Context())
					r := start(ctx, m, p)
					for n := range 10 {
						at(p.waitPing(n + 1).Add(after))
						sign(m)
					}
					at(p.waitPing(11)) // the tick sees the late sign of life
					s := m.Stats()
					cancel()
					if err := r.wait(t); err != nil {
						t.Fatal(err)
					}
					pong := name == "foreign pong" || name == "empty pong"
					want := heartbeat.Stats{State: heartbeat.Late, Late: 10, Sent: 11}
					switch {
					case late && name == "bytes accepted":
						want.Stalled, want.Late, want.State = 10, 0, heartbeat.WriteStalled
					case late:
						want.Missed = 10
					case pong:
						want.State, want.Answered, want.Late = heartbeat.Alive, 10, 0
					}
					got := s
					got.LastReceived, got.RTT = time.Time{}, heartbeat.RTT{}
					if got != want {
						t.Errorf("got  %+v\nwant %+v", got, want)
					}
					if pong && s.RTT.Count == 0 || !pong && s.RTT.Count != 0 {
						t.Errorf("%+v", s.RTT)
					}
				})
			})
		}
	}
}

// A sign of life at the instant of the ping is older than the ping.
func TestReceivedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeTransport{reading: time.Now()}
		m := newMonitor(t, heartbeat.Options{TransportState: e, MaxMissed: -1})
		p := &pinger{answer: func(ctx context.Context, n int) error {
			e.do(func(e *fakeTransport) { e.received = time.Now() })
			return e.pass(ctx, n)
		}}
		r := start(t.Context(), m, p)
		r.verdict(t)
		if got := r.ended.Sub(p.sent[0]); got != timeout {
			t.Errorf("given up after %v, want %v", got, timeout)
		}
	})
}

// The TransportState decides how an unanswered ping is counted.
func TestUnanswered(t *testing.T) {
	const half = timeout / 2
	tests := []struct {
		name          string
		left, reading time.Duration // after the ping was sent; negative: never
		unsent        int
		want          heartbeat.State // the counted state; Late means unread
	}{
		{"seen off", 0, 0, 0, heartbeat.Dead},
		{"left and read in the first half", half, half, 0, heartbeat.Dead},
		{"never left", -1, 0, 0, heartbeat.WriteStalled},
		{"left in the second half", half + 1, 0, 0, heartbeat.WriteStalled},
		{"left behind others that did not", 0, 0, 1, heartbeat.WriteStalled},
		{"never read", 0, -1, 0, heartbeat.Late},
		{"read in the second half", 0, half + 1, 0, heartbeat.Late},
		{"neither left nor read", -1, -1, 0, heartbeat.WriteStalled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &fakeTransport{left: time.Now()} // some older ping
				m := newMonitor(t, heartbeat.Options{MaxMissed: 1000})
				m.Use(e)
				p := &pinger{answer: func(ctx context.Context, _ int) error {
					sent := time.Now()
					e.do(func(e *fakeTransport) { e.unsent, e.reading = tt.unsent, time.Time{} })
					if tt.left >= 0 {
						time.AfterFunc(tt.left, func() { e.do(func(e *fakeTransport) { e.left = sent.Add(tt.left) }) })
					}
					if tt.reading >= 0 {
						time.AfterFunc(tt.reading, func() { e.do(func(e *fakeTransport) { e.reading = sent.Add(tt.reading) }) })
					}
					return silence(ctx)
				}}
				ctx, cancel := context.WithCancel(t.Context())
				r := start(ctx, m, p)
				for n := range 5 {
					at(p.waitPing(n + 1).Add(timeout))
				}
				cancel()
				if err := r.wait(t); err != nil {
					t.Fatal(err)
				}
				want := heartbeat.Stats{Sent: 5, State: heartbeat.Late}
				switch tt.want {
				case heartbeat.Dead:
					want.Missed = 5
				case heartbeat.WriteStalled:
					want.Stalled, want.State = 5, heartbeat.WriteStalled
				case heartbeat.Late:
					want.Unread = 5
				}
				if got := m.Stats(); got != want {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			})
		})
	}
}

// Any sign of life in time resets the number of misses.
func TestMissesMadeGood(t *testing.T) {
	e := new(fakeTransport)
	tests := []struct {
		name           string
		sign           func(m *heartbeat.Monitor)
		answered, late uint64
	}{
		{"pong", func(m *heartbeat.Monitor) { m.OnPong(context.Background(), nil) }, 1, 0},
		{"Received", func(m *heartbeat.Monitor) { m.Received() }, 0, 1},
		{"bytes accepted", func(*heartbeat.Monitor) { e.do(func(e *fakeTransport) { e.unsent = 0 }) }, 0, 1},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			*e = fakeTransport{reading: time.Now()}
			m := newMonitor(t, heartbeat.Options{TransportState: e, MaxMissed: 2})
			p := &pinger{answer: e.pass}
			r := start(t.Context(), m, p)
			at(p.waitPing(2).Add(timeout + 1)) // two were missed
			e.do(func(e *fakeTransport) { e.unsent = 1 })
			at(p.waitPing(3).Add(timeout - 1))
			tt.sign(m)
			e.do(func(e *fakeTransport) { e.unsent = 0 })
			v := r.verdict(t)
			s := m.Stats()
			if v.Missed != 3 || s.Sent != 6 || s.Missed != 5 || s.Late != tt.late || s.Answered != tt.answered {
				t.Errorf("%s: %+v after %+v", tt.name, v, s)
			}
		})
	}
}

// A round that is no miss does not reset the number of misses either.
func TestMissesInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(fakeTransport)
		m := newMonitor(t, heartbeat.Options{TransportState: e, MaxMissed: 1})
		r := start(t.Context(), m, &pinger{answer: func(ctx context.Context, n int) error {
			e.do(func(e *fakeTransport) { e.reading = time.Now() })
			switch n {
			case 2: // unread
				e.do(func(e *fakeTransport) { e.reading = time.Time{} })
			case 3: // stalled
				return silence(ctx)
			}
			return e.pass(ctx, n)
		}})
		v := r.verdict(t)
		if s := m.Stats(); v.Missed != 2 || s.Sent != 4 || s.Missed != 2 || s.Unread != 1 || s.Stalled != 1 {
			t.Errorf("%+v after %+v", v, s)
		}
	})
}

// While no goroutine reads, there is no verdict.
func TestNoReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(fakeTransport)
		m := newMonitor(t, heartbeat.Options{TransportState: e, MaxMissed: -1})
		p := &pinger{answer: e.pass}
		r := start(t.Context(), m, p)
		time.Sleep(1000 * interval)
		if !r.isRunning() {
			t.Fatal(r.err)
		}
		// A read begins and waits through one whole ping.
		next := p.waitPing(p.pings() + 1)
		e.do(func(e *fakeTransport) { e.reading = time.Now() })
		r.verdict(t)
		if got := r.ended.Sub(next); got != timeout {
			t.Errorf("given up %v after the ping, want %v", got, timeout)
		}
	})
}

// An interval without a ping has no miss, even if some other ping leaves in it.
func TestNoPingNoMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeTransport{reading: time.Now(), writing: true}
		m := newMonitor(t, heartbeat.Options{TransportState: e, MaxMissed: -1})
		ctx, cancel := context.WithCancel(t.Context())
		r := start(ctx, m, new(pinger))
		for m.Stats().State != heartbeat.WriteStalled {
			time.Sleep(time.Second)
		}
		e.do(func(e *fakeTransport) { e.left, e.writing = time.Now(), false })
		time.Sleep(timeout)
		if s := m.Stats(); !r.isRunning() || s.Stalled != 1 || s.Missed != 0 {
			t.Errorf("%v, %+v", r.err, s)
		}
		cancel()
		r.wait(t)
	})
}

// A ping that fails could not be written: that is never a miss, and bounded.
func TestPingFails(t *testing.T) {
	tests := map[string]func(ctx context.Context) error{
		// coder/websocket returns this when another write holds the lock.
		"inner deadline": func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			return silence(ctx)
		},
		"broken pipe": func(context.Context) error { return syscall.EPIPE },
		"canceled":    func(context.Context) error { return context.Canceled },
	}
	for name, ping := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMonitor(t, heartbeat.Options{MaxMissed: -1}) // and without TransportState
				p := &pinger{answer: func(ctx context.Context, _ int) error { return ping(ctx) }}
				r := start(t.Context(), m, p)
				v := r.verdict(t)
				if got := r.ended.Sub(p.sent[0]); v.State != heartbeat.WriteStalled || got != interval+timeout {
					t.Errorf("%+v after %v, want %v", v, got, interval+timeout)
				}
				if s := m.Stats(); s.Missed != 0 || s.Stalled != 2 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// The failure of an earlier ping does not count as one of the last ping.
func TestPingFailsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{Interval: 2 * time.Second, Timeout: time.Second})
		p := &pinger{answer: func(ctx context.Context, n int) error {
			if n == 1 {
				time.Sleep(2500 * time.Millisecond)
				return syscall.EPIPE
			}
			return silence(ctx)
		}}
		r := start(t.Context(), m, p)
		if v := r.verdict(t); v.State != heartbeat.Dead || v.Missed != 3 || m.Stats().Stalled != 0 {
			t.Errorf("%+v", v)
		}
	})
}

// A closed connection is no verdict, because the reader has the reason.
func TestClosed(t *testing.T) {
	for _, after := range []time.Duration{0, 1, timeout - 1, timeout, interval - 1} {
		synctest.Test(t, func(t *testing.T) {
			m := newMonitor(t, heartbeat.Options{Interval: interval, Timeout: interval})
			p := &pinger{answer: func(ctx context.Context, n int) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(after):
					return fmt.Errorf("failed to ping: %w", net.ErrClosed)
				}
			}}
			r := start(t.Context(), m, p)
			if err := r.wait(t); err != nil {
				t.Errorf("closed after %v: %v, want nil", after, err)
			}
			if got := r.ended.Sub(p.sent[0]); got != after {
				t.Errorf("Run ended %v after the ping, want %v", got, after)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	const pingGrace = 100 * time.Millisecond
	tests := []struct{ after, want time.Duration }{
		{-1, -1}, // before the first ping
		{0, pingGrace},
		{pingGrace / 2, pingGrace}, // it may not be written yet
		{pingGrace, pingGrace},
		{time.Second, time.Second},
		{timeout, timeout},
		{timeout + 1, timeout + 1},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			m := newMonitor(t, heartbeat.Options{})
			p := new(pinger)
			ctx, cancel := context.WithCancel(t.Context())
			r := start(ctx, m, p)
			if tt.after < 0 {
				synctest.Wait()
				p.sent = append(p.sent, time.Now().Add(1))
			} else {
				at(p.waitPing(1).Add(tt.after))
			}
			cancel()
			if err := r.wait(t); err != nil {
				t.Error(err)
			}
			if got := r.ended.Sub(p.sent[0]); got != tt.want {
				t.Errorf("cancelled %v after the ping, Run ended at %v, want %v", tt.after, got, tt.want)
			}
		})
	}

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p := new(pinger)
		begin := time.Now()
		if err := newMonitor(t, heartbeat.Options{}).Run(ctx, p); err != nil || time.Since(begin) != 0 || p.pings() != 0 {
			t.Errorf("Run with a context that is over: %v after %v and %d pings", err, time.Since(begin), p.pings())
		}
	})
}

// With a Timeout as long as the Interval, the evaluation and the next ping are due in the
// same instant.
func TestTimeoutIsInterval(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			m := newMonitor(t, heartbeat.Options{Interval: interval, Timeout: interval})
			p := new(pinger)
			r := start(t.Context(), m, p)
			v := r.verdict(t)
			if got := r.ended.Sub(p.sent[0]); got != 3*interval || v.Missed != 3 || p.pings() != 3 {
				t.Errorf("%+v after %v and %d pings", v, got, p.pings())
			}
		})
	}
}

// Options at the end of their range neither overflow nor panic.
func TestHuge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const year = 365 * 24 * time.Hour
		m := newMonitor(t, heartbeat.Options{Interval: 290 * year, Timeout: 290 * year, MaxMissed: int(^uint(0) >> 1)})
		ctx, cancel := context.WithTimeout(t.Context(), 10*year)
		defer cancel()
		if err := m.Run(ctx, new(pinger)); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{Interval: 1})
		var v *heartbeat.Verdict
		if err := m.Run(t.Context(), new(pinger)); !errors.As(err, &v) {
			t.Error(err)
		}
	})
}
