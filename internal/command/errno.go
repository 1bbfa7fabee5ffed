package command

import (
	"errors"
	"syscall"
)

// windowsErrnos are the errors of Windows Sockets. On Windows, the values of EADDRINUSE
// and others in package syscall are invented, and no call returns them. Other systems have
// no errors of these numbers.
var windowsErrnos = map[syscall.Errno]syscall.Errno{
	syscall.EACCES:       10013,
	syscall.EADDRINUSE:   10048,
	syscall.ECONNREFUSED: 10061,
}

// isErrno reports whether err is e, a key of windowsErrnos, on any system.
func isErrno(err error, e syscall.Errno) bool {
	return errors.Is(err, e) || errors.Is(err, windowsErrnos[e])
}
