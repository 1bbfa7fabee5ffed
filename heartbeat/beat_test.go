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

// drive calls Beat whenever it asks for it, until it has an error or d is over.
// answer hears of each ping.
func drive(m *heartbeat.Monitor, d time.Duration, answer func(payload string)) error {
	for end := time.Now().Add(d); ; {
		next, err := m.Beat(func(payload []byte) {
			if answer != nil {
				answer(string(payload))
			}
		})
		if err != nil || time.Until(end) < next {
			return err
		}
		time.Sleep(next)
	}
}

// In steps a Monitor asks and gives up at the times at which Run does.
func TestBeatDead(t *testing.T) {
	for _, timeout := range []time.Duration{timeout, interval} {
		synctest.Test(t, func(t *testing.T) {
			m := newMonitor(t, heartbeat.Options{Interval: interval, Timeout: timeout})
			start := time.Now()
			var asked []time.Duration
			err := drive(m, time.Hour, func(string) { asked = append(asked, time.Since(start)) })
			var v *heartbeat.Verdict
			if !errors.As(err, &v) || v.State != heartbeat.Dead || v.Missed != 3 {
				t.Fatalf("%v, want a verdict after 3 misses", err)
			}
			if len(asked) != 3 || asked[0] > interval || asked[1]-asked[0] != interval || asked[2]-asked[1] != interval {
				t.Errorf("pings were asked for after %v", asked)
			}
			if got := time.Since(start); got != asked[2]+timeout {
				t.Errorf("the verdict came after %v, want %v", got, asked[2]+timeout)
			}
		})
	}
}

// A pong is known by its payload; one that is not is any pong.
func TestBeatPongs(t *testing.T) {
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

// A process that stands still for a while calls late. The peer loses none of its
// time to answer by that.
func TestBeatCalledLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{MaxMissed: -1})
		stall := false
		var pongs []time.Time
		for end := time.Now().Add(20 * interval); time.Now().Before(end); {
			next, err := m.Beat(func(payload []byte) {
				pongs = append(pongs, time.Now())
				time.AfterFunc(timeout-1, func() { m.OnPong(context.Background(), payload) })
			})
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

// A clogged is an evidence that stops the whole Monitor for long now and then, as
// a process that gets no processor does.
type clogged struct {
	evidence
	calls int
}

func (c *clogged) Writing() bool {
	if c.calls++; c.calls%3 == 0 {
		time.Sleep(3 * interval / 2)
	}
	return false
}

// So it is with Run.
func TestRunStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &clogged{}
		e.reading = time.Now()
		m := newMonitor(t, heartbeat.Options{Evidence: e, MaxMissed: -1})
		p := &pinger{answer: func(context.Context, int) error {
			e.do(func(e *evidence) { e.left = time.Now() })
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
				t.Errorf("ping %d came %v after the one before", i+1, d)
			}
		}
	})
}
