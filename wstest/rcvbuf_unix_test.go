//go:build unix

package wstest_test

import (
	"net"
	"syscall"
	"testing"

	"example.com/wsecho/wstest"
)

func TestRcvBuf(t *testing.T) {
	url := wstest.Serve(t, wstest.Echo)
	size := func(o wstest.DialOptions) (n int) {
		c, err := dial(t, url, o).NetConn().(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		c.Control(func(fd uintptr) {
			n, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
		})
		check(t, err)
		return n
	}
	small, usual := size(wstest.DialOptions{RcvBuf: 8 << 10}), size(wstest.DialOptions{})
	// Linux doubles what it is given.
	if small > 16<<10 || small >= usual {
		t.Errorf("got SO_RCVBUF %d, %d without, want 8 or 16 KiB", small, usual)
	}
}
