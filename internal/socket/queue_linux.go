//go:build !386

package socket

import (
	"net"
	"syscall"
	"unsafe"
)

// HaveQueue is true: the size of the kernel's send queue is known.
const HaveQueue = true

// NotSent returns the number of bytes in the socket's send queue that were never sent
// (SIOCOUTQNSD). The peer's window or the congestion window is full. It returns 0 for a
// connection that is not TCP.
func NotSent(sock net.Conn) int { return max(0, queue(sock, 0x894B)) }

// Unread returns the number of bytes in the socket's receive queue (SIOCINQ). It returns 0
// for a connection that is not TCP.
func Unread(sock net.Conn) int { return max(0, queue(sock, 0x541B)) }

// NotAcked returns the number of bytes in the socket's send queue, sent or not (SIOCOUTQ).
// It is negative for a connection that is not TCP.
func NotAcked(sock net.Conn) int { return queue(sock, 0x5411) }

// Acked returns how many bytes the peer has acknowledged since the connection began, plus
// or minus a constant. It returns -1 if that is not known: the connection is not TCP, or the
// kernel is older than 4.1.
func Acked(sock net.Conn) int64 {
	var info struct {
		_     [120]byte
		acked int64
	} // the beginning of struct tcp_info
	if tcpInfo(sock, unsafe.Pointer(&info), unsafe.Sizeof(info)) != int(unsafe.Sizeof(info)) {
		return -1
	}
	return info.acked
}

// Unanswered reports whether the kernel has retransmitted bytes and received no
// acknowledgment since. The peer may be dead, or the path may be broken. A live peer with
// a full window answers window probes, so it does not count.
func Unanswered(sock net.Conn) bool {
	var info struct{ state, caState, retransmits, probes byte } // the beginning of struct tcp_info
	n := tcpInfo(sock, unsafe.Pointer(&info), unsafe.Sizeof(info))
	// An answer sets both to 0. One unanswered probe is normal.
	return n > 0 && (info.retransmits > 0 || info.probes > 1)
}

// Ended reports whether the kernel has received the peer's FIN or RST, or the socket is shut
// down. It reads no input. It returns false for a connection other than TCP and unix sockets.
func Ended(sock net.Conn) (ended bool) {
	raw := Raw(sock)
	if raw == nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) { // fails only if the socket is closed
		const rdhup, err, hup = 0x2000, 8, 0x10 // as in /usr/include/asm-generic/poll.h
		wait := struct {
			fd              int32
			events, revents int16
		}{fd: int32(fd), events: rdhup}
		var noTime syscall.Timespec
		n, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&wait)), 1, uintptr(unsafe.Pointer(&noTime)), 0, 0, 0)
		ended = errno == 0 && n == 1 && wait.revents&(rdhup|err|hup) != 0
	})
	return ended
}

// tcpInfo reads at most size bytes of the socket's struct tcp_info into p. It returns their
// number, 0 if the connection is not TCP.
func tcpInfo(sock net.Conn, p unsafe.Pointer, size uintptr) int {
	tcp, ok := sock.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	n := uint32(size)
	err = raw.Control(func(fd uintptr) {
		if _, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(p), uintptr(unsafe.Pointer(&n)), 0); errno != 0 {
			n = 0
		}
	})
	if err != nil {
		return 0
	}
	return int(n)
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
