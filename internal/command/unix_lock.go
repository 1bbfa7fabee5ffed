//go:build unix && !solaris && !aix

package command

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// setMode sets the mode of a socket that is not bound. Linux uses it for the file.
func setMode(fd uintptr, mode uint32) { _ = syscall.Fchmod(int(fd), mode) }

// lockDirectoryOf waits until no other process holds the lock on the directory of path, at
// most three seconds. It does nothing on a file system without locks.
func lockDirectoryOf(path string) (unlock func()) {
	dir, err := os.OpenFile(filepath.Dir(path), os.O_RDONLY|syscall.O_NONBLOCK, 0) // does not wait if it is a pipe
	if err != nil {
		return func() {} // bind reports the error
	}
	for start := time.Now(); time.Since(start) < 3*time.Second; time.Sleep(10 * time.Millisecond) {
		if syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != syscall.EWOULDBLOCK {
			break
		}
	}
	return func() { _ = dir.Close() }
}
