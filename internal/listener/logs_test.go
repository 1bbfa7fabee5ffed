package listener

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A lockChecker is the handler of a log that may block. No lock may be held meanwhile.
type lockChecker struct {
	slog.Handler
	t     *testing.T
	l     *Limiter
	lines int
}

func (h *lockChecker) Enabled(context.Context, slog.Level) bool { return true }

func (h *lockChecker) Handle(_ context.Context, r slog.Record) error {
	h.lines++
	if !h.l.mu.TryLock() {
		h.t.Errorf("%q is logged under the lock of the Limiter", r.Message)
	} else {
		h.l.mu.Unlock()
	}
	if !h.l.outage.mu.TryLock() {
		h.t.Errorf("%q is logged under the lock of the outage", r.Message)
	} else {
		h.l.outage.mu.Unlock()
	}
	return nil
}

// TestLogsWithoutLock checks the line of an eviction and those of an outage.
func TestLogsWithoutLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &lockChecker{t: t}
		l := New(slog.New(h), func() int { return 1 })
		h.l = l
		near, far := net.Pipe()
		defer far.Close()
		l.ConnState(near, http.StateNew)
		time.Sleep(greatestAge)
		l.ensureSlot()
		l.outage.failed(syscall.EMFILE)
		time.Sleep(2 * quietTime)
		synctest.Wait()
		if h.lines != 3 {
			t.Errorf("got %d lines, want 3", h.lines)
		}
	})
}

// TestAbandonedBody ends a handler while another goroutine waits for the request's body. The
// connection is closed in a drain.
func TestAbandonedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(slog.New(slog.DiscardHandler), func() int { return 1 })
		near, far := net.Pipe()
		defer far.Close()
		l.ConnState(near, http.StateNew)
		l.Begin(near)
		l.Await(near)
		l.End(near)
		time.Sleep(2 * flushTime)
		l.closeWaiting()
		if len(l.pending) > 0 {
			t.Error("the connection is open")
		}
	})
}
