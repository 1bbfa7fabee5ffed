//go:build unix && (!linux || 386)

package transport

import "syscall"

// haveRaw says that sockets can be read and written by hand here.
const haveRaw = true

const errAgain = syscall.EAGAIN

const readsAll = false // or it is not known here

func sysRead(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func sysShutdown(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }

func sysDrop(fd uintptr, p []byte) (int, error) { return sysRead(fd, p) }

func sysPeek(fd uintptr, p []byte) (int, error) {
	for {
		n, _, err := syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func sysWrite(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
