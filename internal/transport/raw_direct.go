//go:build linux && !386

package transport

import (
	"syscall"
	"unsafe"
)

// haveRaw says that sockets can be read and written by hand here.
const haveRaw = true

const errAgain = syscall.EAGAIN

// readsAll says that a read of TCP takes all there is, up to the size of the buffer.
const readsAll = true

// The descriptors do not block, so that the scheduler need not be told of the
// system call: that is a twentieth of what a small message costs.

// They are those of sockets, and not read and write, which go through the layer of
// files first.

func sysRead(fd uintptr, p []byte) (int, error) { return raw(syscall.SYS_RECVFROM, fd, p, 0) }

func sysPeek(fd uintptr, p []byte) (int, error) {
	return raw(syscall.SYS_RECVFROM, fd, p, syscall.MSG_PEEK)
}

// sysDrop reads off what there is, up to the size of p. Of TCP nothing is copied.
func sysDrop(fd uintptr, p []byte) (int, error) {
	return raw(syscall.SYS_RECVFROM, fd, p, syscall.MSG_TRUNC)
}

func sysWrite(fd uintptr, p []byte) (int, error) {
	return raw(syscall.SYS_SENDTO, fd, p, syscall.MSG_NOSIGNAL)
}

func sysShutdown(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }

func raw(call, fd uintptr, p []byte, flags uintptr) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return -1, errno
		}
	}
}
