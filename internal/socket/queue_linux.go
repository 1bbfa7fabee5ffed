//go:build !386

package socket

import (
	"net"
	"syscall"
	"unsafe"
)

// HaveQueue says that what the kernel holds is known here.
const HaveQueue = true

// NotSent returns the bytes in the socket's send queue that have not been sent
// once, because the peer's window or the path does not allow it: SIOCOUTQNSD.
// It is 0 where that is not known.
func NotSent(sock net.Conn) int { return max(0, queue(sock, 0x894B)) }

// Unread returns the bytes that the kernel has received and nobody has read: SIOCINQ.
// It is 0 where that is not known.
func Unread(sock net.Conn) int { return max(0, queue(sock, 0x541B)) }

// NotAcked returns the bytes in the socket's send queue, sent or not: SIOCOUTQ.
// It is negative where that is not known.
func NotAcked(sock net.Conn) int { return queue(sock, 0x5411) }

// Unanswered reports whether the kernel, which has sent something, has had to send
// it again and has heard nothing of it since: the peer or the path is gone, or may
// be. A peer that takes nothing does answer, so it is not meant.
func Unanswered(sock net.Conn) bool {
	tcp, ok := sock.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	var info struct{ state, caState, retransmits, probes byte } // the first of struct tcp_info
	size := uint32(unsafe.Sizeof(info))
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	// An answer sets both to 0. One probe is on its way now and then.
	return err == nil && errno == 0 && (info.retransmits > 0 || info.probes > 1)
}

func queue(sock net.Conn, request uintptr) int {
	tcp, ok := sock.(*net.TCPConn)
	if !ok {
		return -1
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1
	}
	var n int32
	err = raw.Control(func(fd uintptr) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(&n))); errno != 0 {
			n = -1
		}
	})
	if err != nil {
		return -1
	}
	return int(n)
}
