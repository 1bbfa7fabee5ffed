package testfull

import (
	"sync"
	"testing"
	"time"
)

// A Lag measures how long a busy machine has delayed the goroutines of this process. A test
// adds it to the bound of a duration that it measures. Its methods may be called
// concurrently.
type Lag struct {
	mu    sync.Mutex
	slept time.Time // when the current sleep began
	total time.Duration
}

const (
	lagSleep = 2 * time.Millisecond
	lagNoise = 5 * time.Millisecond // a sleep that is late by less does not count
)

// MeasureLag returns a Lag that measures until the end of the test.
func MeasureLag(tb testing.TB) *Lag {
	l := &Lag{slept: time.Now()}
	stop := make(chan struct{})
	var measuring sync.WaitGroup
	measuring.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(lagSleep):
			}
			l.mu.Lock()
			l.total += l.late()
			l.slept = time.Now()
			l.mu.Unlock()
		}
	})
	tb.Cleanup(func() { close(stop); measuring.Wait() })
	return l
}

// late returns by how much the current sleep is late, 0 for noise. l.mu is held.
func (l *Lag) late() time.Duration {
	d := time.Since(l.slept) - lagSleep
	if d < lagNoise {
		return 0
	}
	return d
}

// Total returns the sum of the delays since MeasureLag. It includes a delay that lasts.
func (l *Lag) Total() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total + l.late()
}
