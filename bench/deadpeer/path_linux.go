package deadpeer

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"example.com/wsecho/bench/measure"
)

// DeadPath is like Dead, but cuts the network path: the kernel acknowledges nothing, and
// no frame of the server arrives. DeadPath returns the time until the server's process
// has closed the socket. It calls start in a new network namespace, and stops the process
// that start returns. Without root, ip and tc the error wraps errors.ErrUnsupported.
func DeadPath(ctx context.Context, start func() (*measure.Process, error), bound time.Duration) (noticed time.Duration, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread and its children are in the namespace. The thread is never unlocked,
		// so it ends with the goroutine.
		runtime.LockOSThread()
		if err = isolate(); err == nil {
			noticed, err = deadPath(ctx, start, bound)
		}
	}()
	<-done
	return noticed, err
}

// isolate moves the thread into a new network namespace.
func isolate() error {
	_, err := exec.LookPath("tc")
	if err == nil {
		err = syscall.Unshare(syscall.CLONE_NEWNET)
	}
	if err == nil {
		err = command("ip", "link", "set", "lo", "up")
	}
	if err != nil {
		return fmt.Errorf("cutting the network path needs root, ip and tc: %w", errors.Join(errors.ErrUnsupported, err))
	}
	return nil
}

func deadPath(ctx context.Context, start func() (*measure.Process, error), bound time.Duration) (time.Duration, error) {
	p, err := start()
	if err != nil {
		return 0, err
	}
	defer p.Stop()
	before, err := socketsWithoutClients(p)
	if err != nil {
		return 0, err
	}
	c, err := dial(ctx, p.Addr)
	if err != nil {
		return 0, err
	}
	defer c.RST()
	// From now on the namespace drops all packets.
	if err := command("tc", "qdisc", "replace", "dev", "lo", "root", "blackhole"); err != nil {
		return 0, err
	}
	cut := time.Now()
	if n, err := p.Sockets(); err != nil {
		return 0, err
	} else if n <= before {
		return 0, fmt.Errorf("the server has %d sockets with a client and %d without; want more with a client", n, before)
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-p.Ended():
			return 0, errors.New("the server has ended")
		case <-poll.C:
		}
		n, err := p.Sockets()
		switch took := time.Since(cut); {
		case err != nil:
			return 0, err
		case n <= before:
			return took, nil
		case took > bound:
			return 0, nil
		}
	}
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// socketsWithoutClients returns the number of sockets of a server without clients. The
// connection that tested whether the server listens may still be open for a moment.
func socketsWithoutClients(p *measure.Process) (int, error) {
	least, err := p.Sockets()
	for range 25 {
		if err != nil {
			return 0, err
		}
		time.Sleep(20 * time.Millisecond)
		var n int
		n, err = p.Sockets()
		least = min(least, n)
	}
	return least, err
}
