package heartbeat_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/heartbeat"
)

// A senderFunc sends pings.
type senderFunc func(payload []byte)

func (f senderFunc) SendPing(payload []byte) { f(payload) }

// drive calls Tick when it is due, until Tick returns an error or d is over. It calls
// answer for each ping.
func drive(m *heartbeat.Monitor, d time.Duration, answer func(payload string)) error {
	for end := time.Now().Add(d); ; {
		next, err := m.Tick(0, senderFunc(func(payload []byte) {
			if answer != nil {
				answer(string(payload))
			}
		}))
		if err != nil || time.Until(end) < next {
			return err
		}
		time.Sleep(next)
	}
}

// Tick sends pings and gives up at the times at which Run does.
func TestTickDead(t *testing.T) {
	for _, timeout := range []time.Duration{timeout, interval} {
		synctest.Test(t, func(t *testing.T) {
			m := newMonitor(t, heartbeat.Options{Interval: interval, Timeout: timeout})
			start := time.Now()
			var sent []time.Duration
			err := drive(m, time.Hour, func(string) { sent = append(sent, time.Since(start)) })
			var v *heartbeat.Verdict
			if !errors.As(err, &v) || v.State != heartbeat.Dead || v.Missed != 3 {
				t.Fatalf("%v, want a verdict after 3 misses", err)
			}
			if len(sent) != 3 || sent[0] > interval || sent[1]-sent[0] != interval || sent[2]-sent[1] != interval {
				t.Errorf("pings were sent after %v", sent)
			}
			if got := time.Since(start); got != sent[2]+timeout {
				t.Errorf("the verdict was returned after %v, want %v", got, sent[2]+timeout)
			}
		})
	}
}

// A payload identifies the ping of a pong. A pong with another payload may answer any
// ping.
func TestTickPongs(t *testing.T) {
	const rtt = 50 * time.Millisecond
	for _, c := range []struct {
		name     string
		pong     func(n int, payload string) string
		measured bool
	}{
		{"the payload", func(_ int, p string) string { return p }, true},
		{"another", func(int, string) string { return "here" }, true},
		{"of no ping yet", func(int, string) string { return "beat 99999" }, true},
		{"no number", func(int, string) string { return "beat x" }, true},
		{"the first ping's", func(int, string) string { return "beat 1" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMonitor(t, heartbeat.Options{})
				n := 0
				err := drive(m, 10*interval, func(payload string) {
					n++
					if want := fmt.Sprint("beat ", n); payload != want {
						t.Errorf("payload %q, want %q", payload, want)
					}
					pong := c.pong(n, payload)
					time.AfterFunc(rtt, func() { m.OnPong(context.Background(), []byte(pong)) })
				})
				s := m.Stats()
				if err != nil || s.State == heartbeat.Dead || s.Missed != 0 || s.Sent < 9 {
					t.Errorf("%v, %+v", err, s)
				}
				if c.measured && (s.Answered < s.Sent-1 || s.RTT.Min != rtt || s.RTT.Max != rtt) {
					t.Errorf("%+v, want all but the last answered after %v", s, rtt)
				}
				if !c.measured && (s.Answered != 1 || s.RTT.Count != 1 || s.Late < s.Sent-2) {
					t.Errorf("%+v, want the first answered and a sign of life for the rest", s)
				}
			})
		})
	}
}

// A paused process calls Tick late. The peer still has the whole Timeout to answer.
func TestTickCalledLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{MaxMissed: -1})
		stall := false
		var pongs []time.Time
		for end := time.Now().Add(20 * interval); time.Now().Before(end); {
			next, err := m.Tick(0, senderFunc(func(payload []byte) {
				pongs = append(pongs, time.Now())
				time.AfterFunc(timeout-1, func() { m.OnPong(context.Background(), payload) })
			}))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(next)
			if stall = !stall; stall {
				time.Sleep(5 * interval / 2)
			}
		}
		if len(pongs) < 5 {
			t.Errorf("only %d pings", len(pongs))
		}
	})
}

// A clogged transport sometimes blocks the whole Monitor, like a process that gets no
// processor time.
type clogged struct {
	fakeTransport
	calls int
}

func (c *clogged) Writing() bool {
	if c.calls++; c.calls%3 == 0 {
		time.Sleep(3 * interval / 2)
	}
	return false
}

// Run does not lose time by such pauses either.
func TestRunStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &clogged{}
		e.reading = time.Now()
		m := newMonitor(t, heartbeat.Options{TransportState: e, MaxMissed: -1})
		p := &pinger{answer: func(context.Context, int) error {
			e.do(func(e *fakeTransport) { e.left = time.Now() })
			time.Sleep(10 * time.Millisecond)
			return nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 30*interval)
		defer cancel()
		if err := m.Run(ctx, p); err != nil {
			t.Error(err)
		}
		if s := m.Stats(); s.Answered < s.Sent-1 || s.Sent < 5 {
			t.Errorf("%+v", s)
		}
		gaps := slices.Clone(p.sent)
		for i := 1; i < len(gaps); i++ {
			if d := gaps[i].Sub(gaps[i-1]); d < interval {
				t.Errorf("ping %d was sent %v after the one before", i+1, d)
			}
		}
	})
}

// One ticker serves many Monitors. Each ping may be early by the slack. A peer that falls
// silent after any pong is given up within Run's bound. No round is evaluated early.
func TestTickOfOwner(t *testing.T) {
	const period, slack = interval / 40, interval / 20
	for silentAfter := range 4 {
		synctest.Test(t, func(t *testing.T) {
			m := newMonitor(t, heartbeat.Options{})
			var received, sent time.Time
			n := 0
			s := senderFunc(func(payload []byte) {
				if gap := time.Since(sent); n > 0 && (gap > interval || gap < interval-slack) {
					t.Errorf("ping %d was sent %v after the one before", n+1, gap)
				}
				sent = time.Now()
				if n++; n <= silentAfter {
					received = sent
					m.OnPong(context.Background(), payload)
				}
			})
			received = time.Now()
			ticker := time.NewTicker(period)
			defer ticker.Stop()
			due := time.Now()
			for range ticker.C {
				if time.Until(due) > 0 {
					continue
				}
				next, err := m.Tick(slack, s)
				if err != nil {
					break
				}
				due = time.Now().Add(next)
			}
			const bound = 3*interval + timeout
			if d := time.Since(received); d > bound {
				t.Errorf("given up %v after the last pong, want at most %v", d, bound)
			}
			if d := time.Since(sent); d < timeout {
				t.Errorf("given up %v after the last ping, want at least %v", d, timeout)
			}
		})
	}
}

// Run and Tick may alternate, because the owner pings a parked connection. No ping is
// lost, doubled or late.
func TestRunAfterTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{MaxMissed: -1})
		var sent []time.Time
		p := sendingPinger{senderFunc(func(payload []byte) {
			sent = append(sent, time.Now())
			time.AfterFunc(timeout/2, func() { m.OnPong(context.Background(), payload) })
		})}
		for i := range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*interval/7)
			if err := m.Run(ctx, p); err != nil {
				t.Fatal(err)
			}
			cancel()
			for end := time.Now().Add(time.Duration(i%5) * interval / 3); ; {
				next, err := m.Tick(0, p)
				if err != nil {
					t.Fatal(err)
				}
				if time.Until(end) < next {
					break
				}
				time.Sleep(next)
			}
		}
		if len(sent) < 100 {
			t.Errorf("only %d pings", len(sent))
		}
		for i := 1; i < len(sent); i++ {
			if gap := sent[i].Sub(sent[i-1]); gap < interval || gap > 3*interval/2 {
				t.Errorf("ping %d was sent %v after the one before", i+1, gap)
			}
		}
	})
}

// A sendingPinger is a Pinger and a Sender. Run must use it as a Sender.
type sendingPinger struct{ senderFunc }

func (sendingPinger) Ping(context.Context) error { panic("Run has called Ping") }
