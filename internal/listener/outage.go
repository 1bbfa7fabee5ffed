package listener

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	minRetry = 5 * time.Millisecond
	maxRetry = 250 * time.Millisecond
	// quietTime without a failure ends an outage. It is longer than maxRetry.
	quietTime = 2 * time.Second
)

// acceptRetry accepts a connection. It tries again while no descriptors are left.
func (w *limited) acceptRetry() (net.Conn, error) {
	for delay := minRetry; ; delay = min(2*delay, maxRetry) {
		c, err := w.Listener.Accept()
		if err == nil || !isExhausted(err) {
			return c, err
		}
		w.l.outage.failed(err)
		if w.sleep(delay, nil) {
			return nil, net.ErrClosed
		}
	}
}

// The errors of Windows Sockets. On Windows, the values of EMFILE and ENOBUFS in package
// syscall are invented, and no call returns them.
const (
	wsaEMFILE  = syscall.Errno(10024)
	wsaENOBUFS = syscall.Errno(10055)
)

// isExhausted reports whether err is the lack of a resource that others may release.
func isExhausted(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, wsaEMFILE, wsaENOBUFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// outage logs the beginning and the end of a time in which Accept fails.
type outage struct {
	log *slog.Logger

	mu       sync.Mutex
	began    time.Time // zero: there is no outage
	last     time.Time // of the last failure
	failures int
	endTimer *time.Timer // calls end; nil before the first outage
}

func (o *outage) failed(err error) {
	if o.record() {
		o.log.Warn("cannot accept connections", "cause", err.Error())
	}
}

// record records a failure, and reports whether an outage has begun.
func (o *outage) record() (began bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = time.Now()
	if began = o.began.IsZero(); began {
		o.began = o.last
	}
	o.failures++
	if o.endTimer == nil {
		o.endTimer = time.AfterFunc(quietTime, o.end)
	} else {
		o.endTimer.Reset(quietTime)
	}
	return began
}

func (o *outage) end() {
	o.mu.Lock()
	failures, took := o.failures, o.last.Sub(o.began)
	over := !o.began.IsZero() && time.Since(o.last) >= quietTime // else there was another failure while the timer fired
	if over {
		o.began, o.failures = time.Time{}, 0
	}
	o.mu.Unlock()
	if over {
		o.log.Warn("accepting connections again", "after_seconds", float64(took.Milliseconds())/1000, "failures", failures)
	}
}

func (o *outage) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.endTimer != nil {
		o.endTimer.Stop()
	}
}
