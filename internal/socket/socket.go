// Package socket makes system calls on a socket: calls that return at once, and queries
// of the kernel's state. A caller waits with syscall.RawConn:
//
//	raw := socket.Raw(conn) // nil: not supported, use conn.Read
//	raw.Read(func(fd uintptr) bool {
//		n, err = socket.Read(fd, buffer)
//		return err != socket.ErrAgain
//	})
//
// Only [Poller.Wait] blocks. The syscall.RawConn implements waits and deadlines. On a
// system without these calls, Raw returns nil and the functions on a descriptor panic.
package socket

import (
	"net"
	"syscall"
)

// Raw returns the syscall.RawConn of a TCP or unix socket. It returns nil for another
// connection, and on a system without the calls of this package.
func Raw(sock net.Conn) (raw syscall.RawConn) {
	if !haveRaw {
		return nil
	}
	switch s := sock.(type) {
	// These two exactly: a type that embeds one may have a Read of its own.
	case *net.TCPConn:
		raw, _ = s.SyscallConn()
	case *net.UnixConn:
		raw, _ = s.SyscallConn()
	}
	return raw
}
