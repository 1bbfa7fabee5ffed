package wstest

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"example.com/wsecho/internal/fairness"
)

// leakGrace is how long goroutines and descriptors have to go away.
const leakGrace = 5 * time.Second

// Verified is an M whose Run is [VerifyNoLeaks], for those that call Run
// themselves:
//
//	testscript.Main(wstest.Verified{M: m}, commands)
type Verified struct{ M interface{ Run() int } }

// Run runs the tests and returns the exit code.
func (v Verified) Run() int { return VerifyNoLeaks(v.M) }

// VerifyNoLeaks runs the tests and returns the exit code for them. If they pass
// and yet there are goroutines left that were not there before, or on Linux
// file descriptors, it waits up to five seconds for them to go away, then
// prints them to stderr and returns 1. m is a *testing.M:
//
//	func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }
//
// Idle connections of http.DefaultTransport are closed first; those of other
// transports are leaks. The goroutines of package testing, of its fuzzing and of
// os/signal do not count, and the worker processes of fuzzing are not checked.
func VerifyNoLeaks(m interface{ Run() int }) int {
	return verify(m, leakGrace, os.Stderr)
}

func verify(m interface{ Run() int }, grace time.Duration, stderr io.Writer) int {
	new(fairness.Yielder).Yield() // opens the pipe that the server keeps open
	goroutines, descriptors := leftGoroutines(nil), openDescriptors()
	code := m.Run()
	if code != 0 || fuzzWorker() {
		return code
	}
	var leaks []string
	deadline := time.Now().Add(grace)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		http.DefaultClient.CloseIdleConnections()
		leaks = nil
		left := leftGoroutines(goroutines)
		for _, id := range slices.Sorted(maps.Keys(left)) {
			leaks = append(leaks, "goroutine left over:\n"+left[id])
		}
		for fd, target := range openDescriptors() {
			if descriptors[fd] != target {
				leaks = append(leaks, fmt.Sprintf("file descriptor left over: %s is %s", fd, target))
			}
		}
		if len(leaks) == 0 {
			return code
		}
		if time.Now().After(deadline) {
			break
		}
		time.Sleep(pause)
	}
	fmt.Fprintf(stderr, "wstest: %d leaks after the tests\n\n%s\n", len(leaks), strings.Join(leaks, "\n\n"))
	return 1
}

// fuzzWorker reports whether this process is one that go test -fuzz started.
// Its parent ends it at any time, so nothing in it is ever done.
func fuzzWorker() bool {
	f := flag.Lookup("test.fuzzworker")
	return f != nil && f.Value.String() == "true"
}

// isOutput reports whether go test was told to write to this file by that flag.
func isOutput(flagName, file string) bool {
	f := flag.Lookup(flagName)
	return f != nil && f.Value.String() != "" && filepath.Base(f.Value.String()) == filepath.Base(file)
}

// leftGoroutines returns the stacks of the goroutines that are not in before, by
// "goroutine 7", without this one and those that never count.
func leftGoroutines(before map[string]string) map[string]string {
	buf := make([]byte, 1<<16)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	left := make(map[string]string)
	// The first stack is this goroutine's.
	for _, stack := range strings.Split(strings.TrimSpace(string(buf[:n])), "\n\n")[1:] {
		id, _, _ := strings.Cut(stack, " [")
		if _, ok := before[id]; !ok && !ignored(stack) {
			left[id] = stack
		}
	}
	return left
}

// ignored reports whether a goroutine runs in, or was created by, something that
// is the toolchain's to end.
func ignored(stack string) bool {
	for line := range strings.Lines(stack) {
		line = strings.TrimPrefix(line, "created by ")
		for _, prefix := range []string{
			"os/signal.", "runtime.ensureSigM",
			"internal/fuzz.", "testing.(*F).", "testing.fRunner", "testing.runFuzz",
			"testing.(*M).", "runtime/pprof.", "runtime/trace.", "runtime.ReadTrace",
		} {
			if strings.HasPrefix(line, prefix) {
				return true
			}
		}
	}
	return false
}

// openDescriptors returns what each open file descriptor is, by number. It is
// empty where there is no /proc.
func openDescriptors() map[string]string {
	const dir = "/proc/self/fd"
	open := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return open
	}
	for _, entry := range entries {
		target, err := os.Readlink(dir + "/" + entry.Name())
		if err != nil {
			continue // the one that ReadDir has read with
		}
		// The runtime opens these when they are first needed and keeps them.
		switch target {
		case "anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[pidfd]", "/dev/urandom":
			continue
		}
		// And package testing these.
		if isOutput("test.cpuprofile", target) || isOutput("test.trace", target) {
			continue
		}
		open[entry.Name()] = target
	}
	return open
}
