//go:build unix && (!linux || 386)

package socket

import "syscall"

// haveRaw says that sockets can be read and written by hand here.
const haveRaw = true

// ErrAgain is the error of a call that would have to wait.
const ErrAgain = syscall.EAGAIN

// ReadsAll says that a read of TCP may not take all there is, or that it is not known
// here.
const ReadsAll = false

// Read reads what there is, up to the size of p.
func Read(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// Peek is Read, but what it gives is still there to be read.
func Peek(fd uintptr, p []byte) (int, error) {
	for {
		n, _, err := syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// Drop reads off what there is, up to the size of p, whose content is no matter.
func Drop(fd uintptr, p []byte) (int, error) { return Read(fd, p) }

// Write writes what the kernel takes of p.
func Write(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// Shutdown ends both directions at once, and leaves the descriptor open.
func Shutdown(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }
