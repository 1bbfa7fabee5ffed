package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/internal/fairness"
	"example.com/wsecho/internal/hostile"
)

func init() {
	commands["observed"] = func() { reportResources(); commands["wsecho"]() }
}

// resources are those that a process uses.
type resources struct {
	hostile.Use
	Goroutines int
	Heap       int64
	Parks      bool // a connection has been parked, which opens the server's poller
}

func (h resources) String() string {
	return fmt.Sprintf("%d files, %d goroutines, %d KiB of heap, %d MiB resident", h.Files, h.Goroutines, h.Heap>>10, h.RSS>>20)
}

// ownResources returns the resources that only this process can measure.
func ownResources() (goroutines int, heap int64, parks bool) {
	runtime.GC()
	runtime.GC() // the first call only marks the objects in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), int64(m.HeapAlloc), watchesParked(make([]byte, 4<<20))
}

// watchesParked reports whether the server in this process watches parked connections. It
// uses buf for the stacks of all goroutines.
func watchesParked(buf []byte) bool {
	return bytes.Contains(buf[:runtime.Stack(buf, true)], []byte("server.(*parker).watch"))
}

// reportResources prints the results of ownResources to stdout at each SIGUSR1.
func reportResources() {
	new(fairness.Yielder).Yield() // opens the pipe that the server keeps open
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for range signals {
			fmt.Println(ownResources())
		}
	}()
}

// An observation is a process that reports its resources.
type observation struct {
	*process
	stdout *os.File
	lines  *bufio.Reader
}

// observe starts the program observed.
func observe(program, dir string, args ...string) (*observation, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	p, err := startWith(w, program, dir, nil, args...)
	if err != nil {
		r.Close()
		return nil, err
	}
	return &observation{p, r, bufio.NewReader(r)}, nil
}

func (o *observation) end() {
	o.kill()
	o.stdout.Close()
}

// resources returns the resources of the process.
func (o *observation) resources(t *testing.T) (h resources) {
	t.Helper()
	err := o.cmd.Process.Signal(syscall.SIGUSR1)
	if err == nil {
		err = o.stdout.SetReadDeadline(time.Now().Add(waitLimit))
	}
	if err == nil {
		_, err = fmt.Fscanln(o.lines, &h.Goroutines, &h.Heap, &h.Parks)
	}
	if err == nil {
		h.Use, err = hostile.UseOf(o.cmd.Process.Pid)
	}
	if err != nil {
		t.Fatalf("reading the resources of the process: %v", err)
	}
	return h
}

// watch samples the resident memory. The first call of peak stops the sampling, and each
// call returns the maximum.
func (o *observation) watch(t *testing.T) (peak func() int64) {
	over := make(chan struct{})
	var most int64
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			u, err := hostile.UseOf(o.cmd.Process.Pid)
			if err != nil {
				t.Error(err)
				return
			}
			most = max(most, u.RSS)
			select {
			case <-over:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return sync.OnceValue(func() int64 {
		close(over)
		watching.Wait()
		return most
	})
}

// wrapped returns a shell script that runs the program after the words.
func wrapped(t *testing.T, program, words string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "wrapped")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+words+" '"+program+"' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}
