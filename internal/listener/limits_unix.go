//go:build unix

package listener

import (
	"sync/atomic"
	"syscall"
	"time"
)

// openFiles is the limit of open files, and when it was read.
var openFiles atomic.Pointer[fileLimit]

type fileLimit struct {
	n  int
	at time.Time
}

// maxOpenFiles returns the limit of open files, at most noLimit. It reads the limit once
// per second: a system call for each connection shows in their cost.
func maxOpenFiles() int {
	l := openFiles.Load()
	if l == nil || time.Since(l.at).Abs() > time.Second {
		l = &fileLimit{noLimit, time.Now()}
		var limit syscall.Rlimit
		if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil && limit.Cur <= noLimit {
			l.n = int(limit.Cur)
		}
		openFiles.Store(l)
	}
	return l.n
}
