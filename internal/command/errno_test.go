package command

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestIsErrno: the errors of Windows are recognised too.
func TestIsErrno(t *testing.T) {
	t.Parallel()
	wrap := func(e syscall.Errno) error {
		return fmt.Errorf("listening: %w", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", e)})
	}
	for e, windows := range windowsErrnos {
		for of := range windowsErrnos {
			for _, got := range []syscall.Errno{of, windowsErrnos[of]} {
				if isErrno(wrap(got), e) != (of == e) {
					t.Errorf("%d is %v, want %v for %v or %d only", got, of != e, of == e, e, windows)
				}
			}
		}
	}
	if isErrno(nil, syscall.EACCES) || isErrno(wrap(0), syscall.EACCES) {
		t.Error("no error is an error")
	}
}
