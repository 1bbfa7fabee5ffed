//go:build unix

package listener

import "syscall"

// maxOpenFiles returns the limit of open files, at most noLimit.
func maxOpenFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || limit.Cur > noLimit {
		return noLimit
	}
	return int(limit.Cur)
}
