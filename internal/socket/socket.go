// Package socket does by hand what package net does for a socket: system calls on its
// descriptor that return at once, and the questions that only the kernel can answer.
// It is for those who wait with the socket's own readiness:
//
//	raw := socket.Raw(conn) // nil: there is no such way, and conn.Read is it
//	raw.Read(func(fd uintptr) bool {
//		n, err = socket.Read(fd, buffer)
//		return err != socket.ErrAgain
//	})
//
// Nothing in here waits: that and all deadlines are the syscall.RawConn's. It knows
// nothing of what is in the bytes, and holds no buffer. On a system where sockets are
// not had by hand, Raw always returns nil, and what takes a descriptor panics.
package socket

import (
	"net"
	"syscall"
)

// Raw returns the way to do the reads and writes of sock by hand, nil if there
// is none.
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
