package load

import (
	"syscall"
	"time"
)

// sleep sleeps for about d, a tenth of a second at most. The runtime's own timers are
// up to a millisecond late where nothing else happens, which is longer than many
// servers take: the end of the time is the kernel's to wait for.
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
