//go:build linux && !386

package socket

import (
	"syscall"
	"unsafe"
)

// haveRaw says that sockets can be read and written by hand here.
const haveRaw = true

// ErrAgain is the error of a call that would have to wait.
const ErrAgain = syscall.EAGAIN

// ReadsAll says that a read of TCP takes all there is, up to the size of the buffer.
const ReadsAll = true

// The descriptors do not block, so that the scheduler need not be told of the
// system call: that is a twentieth of what a small message costs.

// They are those of sockets, and not read and write, which go through the layer of
// files first.

// Read reads what there is, up to the size of p.
func Read(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_RECVFROM, fd, p, 0) }

// Peek is Read, but what it gives is still there to be read.
func Peek(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_RECVFROM, fd, p, syscall.MSG_PEEK)
}

// Drop reads off what there is, up to the size of p, whose content is no matter. Of
// TCP nothing is copied.
func Drop(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_RECVFROM, fd, p, syscall.MSG_TRUNC)
}

// Write writes what the kernel takes of p.
func Write(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_SENDTO, fd, p, syscall.MSG_NOSIGNAL)
}

// Shutdown ends both directions at once, and leaves the descriptor open.
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
