//go:build !linux && !dragonfly && !freebsd

package command

import "syscall"

var setReusePort func(network, address string, c syscall.RawConn) error
