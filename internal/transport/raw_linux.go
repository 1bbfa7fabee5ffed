package transport

import (
	"syscall"
	"unsafe"
)

// haveRaw says that sockets can be read and written by hand here.
const haveRaw = true

const errAgain = syscall.EAGAIN

// The descriptors do not block, so that the scheduler need not be told of the
// system call: that is a twentieth of what a small message costs.

func sysRead(fd uintptr, p []byte) (int, error) { return raw(syscall.SYS_READ, fd, p) }

func sysWrite(fd uintptr, p []byte) (int, error) { return raw(syscall.SYS_WRITE, fd, p) }

func sysPeek(fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_PEEK, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return -1, errno
		}
	}
}

func raw(call, fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return -1, errno
		}
	}
}
