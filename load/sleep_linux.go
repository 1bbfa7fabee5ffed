package load

import (
	"syscall"
	"time"
)

// sleep sleeps for about d, at most a tenth of a second. The timers of an idle runtime are
// up to a millisecond late. Many servers answer in less time. So the kernel waits for the
// last part.
func sleep(d time.Duration) {
	const coarse = 1500 * time.Microsecond
	switch {
	case d <= 0:
	case d > coarse:
		time.Sleep(min(d-coarse, 100*time.Millisecond))
	default:
		ts := syscall.NsecToTimespec(int64(d))
		_ = syscall.Nanosleep(&ts, nil) // a signal may end it early, and then it is called again
	}
}
