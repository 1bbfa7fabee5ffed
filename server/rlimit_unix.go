//go:build unix

package server

import "syscall"

// reserved are the descriptors that are not for connections: listener, logs,
// requests that are being refused.
const reserved = 64

// maxConns is the default of MaxConns.
func maxConns() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || limit.Cur > DefaultMaxConns+reserved {
		return DefaultMaxConns
	}
	return max(1, int(limit.Cur)-reserved)
}
