//go:build unix

package listener

import (
	"syscall"
	"testing"
)

func TestLimits(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	lowered := limit
	lowered.Cur = 200
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lowered); err != nil {
		t.Fatal(err)
	}
	openFiles.Store(nil)
	defer openFiles.Store(nil)
	for _, test := range []struct {
		name      string
		got, want int
	}{
		{"MaxConns(10000)", MaxConns(10_000), 136},
		{"MaxConns(100)", MaxConns(100), 100},
		{"MaxPending(136, 0)", MaxPending(136, 0), 92},
		{"MaxPending(136, 100)", MaxPending(136, 100), 48},
		{"MaxPending(136, 136)", MaxPending(136, 136), 48},
		{"MaxPending(10000, 184)", MaxPending(10_000, 184), 16},
		{"MaxPending(-1, 0)", MaxPending(-1, 0), 184},
	} {
		if test.got != test.want {
			t.Errorf("%s with 200 descriptors: got %d, want %d", test.name, test.got, test.want)
		}
	}
}
