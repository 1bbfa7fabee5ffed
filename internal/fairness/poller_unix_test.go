//go:build unix

package fairness

import (
	"syscall"
	"testing"
)

// TestNoDescriptorLeft polls without a free descriptor, and again with one. The first
// poll must return without a pipe, and the second must open it.
func TestNoDescriptorLeft(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	setLimit := func(l syscall.Rlimit) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
			t.Fatal(err)
		}
	}
	var q queue
	defer q.poller.close()
	if q.poller.raw != nil {
		t.Fatal("the pipe is open before the first poll")
	}

	none := limit
	none.Cur = 0 // descriptors that are open stay open
	setLimit(none)
	defer setLimit(limit)
	q.wait()
	if q.poller.raw != nil {
		t.Error("the pipe is open, but no descriptor was left")
	}

	setLimit(limit)
	q.wait()
	if q.poller.raw == nil {
		t.Error("the pipe is not open after a poll with free descriptors")
	}
	if !q.poller.roundTrip() {
		t.Error("the pipe does not work")
	}
}
