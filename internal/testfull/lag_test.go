package testfull

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestLag: only a sleep that is late counts, also while it lasts.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := MeasureLag(t)
		time.Sleep(time.Second) // no sleep is late by the clock of a bubble
		if d := l.Total(); d != 0 {
			t.Errorf("got %v without a delay", d)
		}
		stuck := &Lag{slept: time.Now(), total: time.Minute}
		time.Sleep(lagSleep + lagNoise/2)
		if d := stuck.Total(); d != time.Minute {
			t.Errorf("got %v, want noise not to count", d)
		}
		time.Sleep(time.Second)
		if d, want := stuck.Total(), time.Minute+time.Second+lagNoise/2; d != want {
			t.Errorf("got %v, want %v", d, want)
		}
	})
}
