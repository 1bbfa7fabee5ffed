//go:build linux && !386

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

// tcpINQ asks the kernel to say with each message received how much it has left
// (TCP_INQ, TCP_CM_INQ), since Linux 4.18.
const tcpINQ = 36

func sysTellLeft(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpINQ, 1) }

// received is what recvmsg wants besides a buffer.
type received struct {
	header  syscall.Msghdr
	vector  syscall.Iovec
	control [controlSize]byte
}

const controlSize = syscall.SizeofCmsghdr + 8 // an int, and what aligns it

// sysReceive reads into b from at on; n is -1 and err nil where there is nothing yet.
// It reports whether there may be more left, or the end of the stream. Before
// sysTellLeft, and where that does not work, there may.
func sysReceive(fd uintptr, b *block, at int) (n int, left bool, err error) {
	m := &b.received
	m.vector.Base = &b.b[at]
	m.vector.SetLen(len(b.b) - at)
	m.header.Iov = &m.vector
	m.header.Iovlen = 1
	m.header.Control = &m.control[0]
	for {
		m.header.SetControllen(controlSize)
		n, _, errno := syscall.RawSyscall(syscall.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&m.header)), 0)
		switch errno {
		case 0:
			c := (*syscall.Cmsghdr)(unsafe.Pointer(&m.control))
			told := int(m.header.Controllen) >= syscall.CmsgLen(4) && c.Level == syscall.IPPROTO_TCP && c.Type == tcpINQ
			return int(n), !told || *(*int32)(unsafe.Pointer(&m.control[syscall.CmsgLen(0)])) != 0, nil
		case syscall.EAGAIN:
			return -1, false, nil
		case syscall.EINTR:
		default:
			return -1, false, errno
		}
	}
}

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
