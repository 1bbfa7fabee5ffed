package endings

import (
	"errors"
	"net"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// A namespace is a network namespace in which a test can cut the network path. It needs
// root.
type namespace struct {
	work chan func()
}

// newNamespace makes a namespace for the rest of the test, or skips the test.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	n := &namespace{make(chan func())}
	made := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread and its children are in the namespace. The thread is never unlocked,
		// so it ends with the goroutine.
		runtime.LockOSThread()
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			made <- err
			return
		}
		made <- command("ip", "link", "set", "lo", "up")
		for f := range n.work {
			f()
		}
	}()
	t.Cleanup(func() {
		close(n.work)
		<-done
	})
	if err := errors.Join(<-made, n.findTC()); err != nil {
		t.Skipf("SKIPPED, the network path was not cut: a network namespace needs root, ip and tc: %v", err)
	}
	return n
}

// findTC returns an error if there is no tc, which cuts the path.
func (n *namespace) findTC() error {
	_, err := exec.LookPath("tc")
	return err
}

// do calls f on the thread of the namespace, so that f's sockets belong to it. A nil
// namespace is the namespace of the test.
func (n *namespace) do(f func()) {
	if n == nil {
		f()
		return
	}
	done := make(chan struct{})
	n.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

// cut makes the namespace drop all packets from now on.
func (n *namespace) cut() (err error) {
	n.do(func() { err = command("tc", "qdisc", "replace", "dev", "lo", "root", "blackhole") })
	return err
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

// withShortTCPTimeout makes the kernel end c if its data is not acknowledged soon.
func withShortTCPTimeout(c net.Conn) net.Conn {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return c
	}
	const userTimeout = 18 // TCP_USER_TIMEOUT
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, 300) // ms
	})
	return c
}

// cork holds back written bytes until the socket is closed. The last bytes and FIN are
// then sent in one segment.
func cork(c net.Conn) error {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	const on = 1
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, on)
	})
	return errors.Join(err, failed)
}
