package fault

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestLatePongs: at most maxLate pongs wait, and stop forgets them.
func TestLatePongs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l pongs
		sent := make(chan string, 2*maxLate)
		pong := l.hook(pongPlan{mode: pongLate, late: time.Minute})
		ping := []byte("x")
		for range maxLate + 1 {
			pong(ping, func(p []byte) { sent <- string(p) })
		}
		ping[0] = 'y' // the reader reuses its buffer
		time.Sleep(time.Minute - 1)
		if len(sent) != 0 {
			t.Error("a pong is early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if len(sent) != maxLate || <-sent != "x" {
			t.Errorf("got %d pongs, want %d", len(sent), maxLate)
		}
		pong(ping, func([]byte) { t.Error("a pong was sent after stop") })
		l.stop()
		pong(ping, func([]byte) { t.Error("a pong was sent after stop") })
		time.Sleep(time.Hour)
	})
}

// TestDeadline: a wait ends at its time, or at a deadline that is set before or meanwhile.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			before, meanwhile, wait, took time.Duration // 0: not set
			exceeded                      bool
		}{
			{0, 0, time.Second, time.Second, false},
			{2 * time.Second, 0, time.Second, time.Second, false},
			{time.Second, 0, time.Hour, time.Second, true},
			{-time.Second, 0, -1, 0, true},
			{0, time.Minute, time.Hour, time.Minute, true},
			{time.Minute, 2 * time.Hour, time.Hour, time.Hour, false},
		} {
			var d deadline
			start := time.Now()
			if tt.before != 0 {
				d.set(start.Add(tt.before))
			}
			if tt.meanwhile != 0 {
				time.AfterFunc(time.Second, func() { d.set(start.Add(tt.meanwhile)) })
			}
			err := d.waitUntil(start.Add(tt.wait))
			if took := time.Since(start); errors.Is(err, os.ErrDeadlineExceeded) != tt.exceeded || took != tt.took {
				t.Errorf("%+v: got %v after %v", tt, err, took)
			}
		}
	})
}

// TestEchoTime: delay, jitter and the header of each frame count.
func TestEchoTime(t *testing.T) {
	for _, tt := range []struct {
		plan plan
		n    int
		want time.Duration
	}{
		{plan{}, 1 << 20, 0},
		{plan{delay: time.Hour, jitter: time.Minute}, 1, time.Hour + time.Minute},
		{plan{writeRate: 1000}, 100, 102 * time.Millisecond},
		{plan{writeRate: 1000}, 1000, 1004 * time.Millisecond},
		{plan{writeRate: 1000, mask: true}, 70_000, 70_014 * time.Millisecond},
		{plan{writeRate: 1000, fragment: 1}, 1000, 3 * time.Second},
		{plan{writeRate: 1000, fragment: 1, mask: true, delay: time.Second}, 1000, 8 * time.Second},
		{plan{writeRate: 1000, fragment: 300}, 1000, 1016 * time.Millisecond},
		{plan{writeRate: 1000, fragment: 9999}, 1000, 1004 * time.Millisecond},
		{plan{writeRate: 1}, 1 << 30, 2 * time.Hour},
	} {
		if got := tt.plan.echoTime(tt.n).Round(time.Millisecond); got != tt.want {
			t.Errorf("%+v, %d bytes: got %v, want %v", tt.plan, tt.n, got, tt.want)
		}
	}
}
