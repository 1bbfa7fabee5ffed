package hostile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// A Path is a network of two ends and a cable between them that can be cut or made slow.
// It needs root, ip and tc.
type Path struct {
	near, far *end
}

// NearAddr is the address of the near end, which has no other network.
const (
	NearAddr = "10.77.0.1"
	farAddr  = "10.77.0.2"
)

// An end is a thread in a network namespace of its own.
type end struct {
	tid  int
	work chan func()
	done chan struct{}
}

// NewPath makes a path. The caller must close it. It fails if the machine or its user
// does not allow it.
func NewPath() (*Path, error) {
	_, err := exec.LookPath("tc")
	if err != nil {
		return nil, err
	}
	p := new(Path)
	if p.near, err = newEnd(); err != nil {
		return nil, err
	}
	if p.far, err = newEnd(); err != nil {
		p.near.close()
		return nil, err
	}
	const nearMAC, farMAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
	// The neighbour entries are permanent. So an end does not notice that the other one
	// is unreachable before it sends something.
	err = errors.Join(
		p.near.run("ip", "link", "add", "cable", "address", nearMAC, "type", "veth",
			"peer", "name", "cable", "address", farMAC, "netns", strconv.Itoa(p.far.tid)),
		p.near.run("ip", "addr", "add", NearAddr+"/24", "dev", "cable"),
		p.Heal(),
		p.near.run("ip", "link", "set", "lo", "up"), // for a client in the namespace of the server
		p.near.run("ip", "link", "set", "cable", "up"),
		p.far.run("ip", "link", "set", "cable", "up"),
		p.near.run("ip", "neigh", "replace", farAddr, "lladdr", farMAC, "dev", "cable", "nud", "permanent"),
		p.far.run("ip", "neigh", "replace", NearAddr, "lladdr", nearMAC, "dev", "cable", "nud", "permanent"),
	)
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close ends the path. Sockets that are still open have no network then.
func (p *Path) Close() {
	p.near.close()
	p.far.close()
}

// Near calls f in the network namespace of the near end, and waits for it. New sockets and
// processes are at that end. f must not end its goroutine.
func (p *Path) Near(f func()) { p.near.do(f) }

// Far is Near for the far end.
func (p *Path) Far(f func()) { p.far.do(f) }

// Partition makes the far end unreachable, as if it had lost power.
func (p *Path) Partition() error { return p.far.run("ip", "addr", "flush", "dev", "cable") }

// Heal makes the far end reachable again.
func (p *Path) Heal() error { return p.far.run("ip", "addr", "add", farAddr+"/24", "dev", "cable") }

// Slow limits the cable to kbit kilobits per second in each direction. It makes the send
// buffers of the kernels small.
func (p *Path) Slow(kbit int) error {
	var errs []error
	for _, e := range []*end{p.near, p.far} {
		e.do(func() {
			errs = append(errs, os.WriteFile("/proc/sys/net/ipv4/tcp_wmem", []byte("4096 16384 16384"), 0o600))
		})
		errs = append(errs, e.run("tc", "qdisc", "replace", "dev", "cable", "root",
			"tbf", "rate", fmt.Sprint(kbit, "kbit"), "burst", "3000", "limit", "100000"))
	}
	return errors.Join(errs...)
}

func newEnd() (*end, error) {
	e := &end{work: make(chan func()), done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(e.done)
		// The thread and the processes that it starts are in the namespace. It is not
		// unlocked, so it ends with the goroutine.
		runtime.LockOSThread()
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		e.tid = syscall.Gettid()
		started <- err
		for f := range e.work {
			f()
		}
	}()
	if err := <-started; err != nil {
		e.close()
		return nil, fmt.Errorf("a network namespace: %w", err)
	}
	return e, nil
}

func (e *end) close() {
	close(e.work)
	<-e.done
}

func (e *end) do(f func()) {
	over := make(chan struct{})
	e.work <- func() {
		defer close(over)
		f()
	}
	<-over
}

func (e *end) run(name string, args ...string) (err error) {
	e.do(func() {
		out, failed := exec.Command(name, args...).CombinedOutput()
		if failed != nil {
			err = fmt.Errorf("%s %v: %w: %s", name, args, failed, out)
		}
	})
	return err
}
