package endings

import (
	"errors"
	"net"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// A namespace is a network of its own, where a path can be cut. It takes root.
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
		// The thread is in the namespace, and so are its children. It is never
		// unlocked: it ends with the goroutine.
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
	if err := errors.Join(<-made, n.try()); err != nil {
		t.Skipf("SKIPPED, no path was cut: a network namespace takes root, ip and tc: %v", err)
	}
	return n
}

// try looks whether the path could be cut.
func (n *namespace) try() error {
	_, err := exec.LookPath("tc")
	return err
}

// do calls f where its sockets are in the namespace; a nil namespace is here.
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

// cut drops all that is sent in the namespace from here on.
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

// hasty makes the kernel give up on what it cannot deliver soon.
func hasty(c net.Conn) net.Conn {
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

// cork keeps what is written back until the socket is closed, so that the last
// bytes and FIN come as one.
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
