package fault

import (
	"os"
	"sync"
	"time"
)

// A deadline is one of a net.Conn. Waits obey a deadline that is set meanwhile. The zero
// value is no deadline.
type deadline struct {
	mu      sync.Mutex
	at      time.Time
	changed chan struct{} // closed by the next set; nil: nothing waits
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = t
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// waitUntil waits until a time. The error is os.ErrDeadlineExceeded if the deadline passes
// before.
func (d *deadline) waitUntil(until time.Time) error {
	for {
		d.mu.Lock()
		at := d.at
		if d.changed == nil {
			d.changed = make(chan struct{})
		}
		changed := d.changed
		d.mu.Unlock()
		wait := time.Until(until)
		switch {
		case !at.IsZero() && !time.Now().Before(at):
			return os.ErrDeadlineExceeded
		case wait <= 0:
			return nil
		case !at.IsZero():
			wait = min(wait, time.Until(at))
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-changed:
			t.Stop()
		}
	}
}
