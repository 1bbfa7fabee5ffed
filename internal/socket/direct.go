//go:build linux && !386

package socket

import (
	"syscall"
	"unsafe"
)

// haveRaw is true, because Raw supports this system.
const haveRaw = true

// ErrAgain is the error of a call that would block.
const ErrAgain = syscall.EAGAIN

// ReadsAll is true: a Read of TCP that does not fill its buffer has read all available
// bytes.
const ReadsAll = true

// RawSyscall is correct here, because the descriptors are nonblocking. It saves the call
// of the scheduler, which is a twentieth of the cost of a small message. recvfrom and
// sendto are cheaper than read and write. The latter pass through the kernel's file layer.

// Read reads the available bytes, at most len(p).
func Read(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_RECVFROM, fd, p, 0) }

// Peek reads as Read does, but leaves the bytes in the socket.
func Peek(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_RECVFROM, fd, p, syscall.MSG_PEEK)
}

// Drop discards the available bytes, at most len(p). For TCP the kernel copies nothing,
// and otherwise the content of p is undefined afterwards.
func Drop(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_RECVFROM, fd, p, syscall.MSG_TRUNC)
}

// Write writes the bytes of p that the kernel accepts at once.
func Write(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_SENDTO, fd, p, syscall.MSG_NOSIGNAL)
}

// Shutdown shuts down both directions. The descriptor stays open.
func Shutdown(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }

func call(number, fd uintptr, p []byte, flags uintptr) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return -1, errno
		}
	}
}
