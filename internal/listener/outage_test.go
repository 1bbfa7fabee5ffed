package listener

import (
	"net"
	"os"
	"syscall"
	"testing"
)

// TestIsExhausted: Accept tries again after a lack of descriptors or memory, on Windows too.
func TestIsExhausted(t *testing.T) {
	t.Parallel()
	for e, want := range map[syscall.Errno]bool{
		syscall.EMFILE: true, syscall.ENOBUFS: true, 10024: true, 10055: true,
		syscall.EBADF: false, syscall.EINVAL: false, 10022: false, 10038: false,
	} {
		err := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", e)}
		if got := isExhausted(err); got != want {
			t.Errorf("error %d: got %v, want %v", e, got, want)
		}
	}
}
