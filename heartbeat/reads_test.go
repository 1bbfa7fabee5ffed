package heartbeat_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/heartbeat"
)

// TestReads checks that a pause of the reader gives no verdict. Silence gives one as soon
// as a Read waits again.
func TestReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads heartbeat.Reads
		m := newMonitor(t, heartbeat.Options{Interval: time.Second, Timeout: time.Second, MaxMissed: 2, TransportState: &reads})
		silent := &pinger{answer: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }}
		began := time.Now()
		time.AfterFunc(time.Minute, func() { reads.Waiting(true) })
		err := m.Run(t.Context(), reads.Pinger(silent))
		verdict := (*heartbeat.Verdict)(nil)
		if took := time.Since(began); !errors.As(err, &verdict) || verdict.State != heartbeat.Dead || verdict.Missed != 3 || took < time.Minute+2*time.Second || took > time.Minute+6*time.Second {
			t.Errorf("got %v after %v", err, took)
		}
		if s := m.Stats(); s.Stalled != 0 || s.Missed != 3 || s.Unread < 58 {
			t.Errorf("got %+v", s)
		}
	})
}
