package probe_test

import (
	"fmt"
	"net"
	"syscall"
	"testing"

	"example.com/wsecho/probe"
)

// TestConnectStalls connects to a listener whose queue is full, so the kernel drops the
// SYN.
func TestConnectStalls(t *testing.T) {
	t.Parallel()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	first, err := net.Dial("tcp", addr) // fills the queue
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	stalled(t, "ws://"+addr+"/", probe.Connect, "^cannot connect: no whole answer within ", probe.Options{})
}
