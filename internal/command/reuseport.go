//go:build linux || dragonfly || freebsd

package command

import (
	"fmt"
	"syscall"
)

// setReusePort is the Control of a listener for --reuseport, nil if the system cannot
// spread connections over several sockets.
var setReusePort = func(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1) }); e != nil {
		return e
	}
	if err != nil {
		return fmt.Errorf("SO_REUSEPORT: %w", err)
	}
	return nil
}
