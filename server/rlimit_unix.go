//go:build unix

package server

import "syscall"

// files is how many files may be open, or plenty where that is less.
func files() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || limit.Cur > plenty {
		return plenty
	}
	return int(limit.Cur)
}
