//go:build !linux

package load

import "time"

// sleep sleeps for d, a tenth of a second at most.
func sleep(d time.Duration) { time.Sleep(min(d, 100*time.Millisecond)) }
