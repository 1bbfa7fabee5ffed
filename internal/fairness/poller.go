package fairness

import (
	"os"
	"runtime"
	"syscall"
)

// A poller waits until the scheduler has polled the network. It sends a byte through a
// pipe of its own: the byte arrives when the scheduler polls.
//
// The zero poller is ready to use. It opens the pipe at the first poll and keeps it. It
// must not be used concurrently.
type poller struct {
	r, w *os.File
	raw  syscall.RawConn // of r; nil: the pipe is not open
}

// poll returns when the scheduler has polled the network. If there is no pipe, or if the
// system does not poll pipes, it calls runtime.Gosched instead.
func (p *poller) poll() {
	if !p.open() || !p.roundTrip() {
		runtime.Gosched()
	}
}

// open reports whether the pipe is open. It opens a pipe that is not. If the process has
// no descriptor left, the next poll tries again.
func (p *poller) open() bool {
	if p.raw != nil {
		return true
	}
	r, w, err := os.Pipe()
	if err != nil {
		return false
	}
	raw, err := r.SyscallConn()
	if err != nil {
		r.Close()
		w.Close()
		return false
	}
	p.r, p.w, p.raw = r, w, raw
	return true
}

// roundTrip sends one byte and receives it. It writes the byte inside the callback,
// after RawConn.Read has cleared the readiness of the pipe. A byte that is written
// earlier can make Read return without a poll.
func (p *poller) roundTrip() bool {
	var b [1]byte
	sent := false
	err := p.raw.Read(func(uintptr) bool {
		if sent {
			return true
		}
		_, err := p.w.Write(b[:])
		sent = err == nil
		return !sent
	})
	if sent {
		_, _ = p.r.Read(b[:])
	}
	return err == nil && sent
}
