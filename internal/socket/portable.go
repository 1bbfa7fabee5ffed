//go:build unix && (!linux || 386)

package socket

import "syscall"

// haveRaw is true, because Raw supports this system.
const haveRaw = true

// ErrAgain is the error of a call that would block.
const ErrAgain = syscall.EAGAIN

// ReadsAll is false: a Read of TCP that does not fill its buffer may have left bytes.
const ReadsAll = false

// Read reads the available bytes, at most len(p).
func Read(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// Peek reads as Read does, but leaves the bytes in the socket.
func Peek(fd uintptr, p []byte) (int, error) {
	for {
		n, _, err := syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// Drop discards the available bytes, at most len(p). The content of p is undefined
// afterwards.
func Drop(fd uintptr, p []byte) (int, error) { return Read(fd, p) }

// Write writes the bytes of p that the kernel accepts at once.
func Write(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// Shutdown shuts down both directions. The descriptor stays open.
func Shutdown(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }
