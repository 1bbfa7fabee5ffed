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

// leakGrace is the time that goroutines and descriptors have to end.
const leakGrace = 5 * time.Second

// Verified is an M whose Run is [VerifyNoLeaks], for functions that call Run:
//
//	testscript.Main(wstest.Verified{M: m}, commands)
type Verified struct{ M interface{ Run() int } }

// Run runs the tests and returns the exit code.
func (v Verified) Run() int { return VerifyNoLeaks(v.M) }

// VerifyNoLeaks runs the tests and returns their exit code. If they pass, it waits up to
// five seconds for new goroutines to end. On Linux it also waits for new file descriptors.
// If some are left, it prints them to stderr and returns 1. m is a *testing.M:
//
//	func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }
//
// It first closes idle connections of http.DefaultTransport. Those of other transports are
// leaks. The goroutines of package testing, of fuzzing and of os/signal do not count. It
// does not check the worker processes of fuzzing.
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
		last := time.Now().After(deadline) // so that the last look is after the deadline
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
		if last {
			break
		}
		time.Sleep(pause)
	}
	fmt.Fprintf(stderr, "wstest: %d leaks after the tests\n\n%s\n", len(leaks), strings.Join(leaks, "\n\n"))
	return 1
}

// fuzzWorker reports whether go test -fuzz has started this process. Its parent may end it
// at any time, so it may have leaks.
func fuzzWorker() bool {
	f := flag.Lookup("test.fuzzworker")
	return f != nil && f.Value.String() == "true"
}

// isOutput reports whether that flag of go test makes it write to this file.
func isOutput(flagName, file string) bool {
	f := flag.Lookup(flagName)
	return f != nil && f.Value.String() != "" && filepath.Base(f.Value.String()) == filepath.Base(file)
}

// leftGoroutines returns the stacks of the goroutines that are not in before. Its keys are
// like "goroutine 7". This goroutine and ignored ones are left out.
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

// ignored reports whether a goroutine belongs to the toolchain, which ends it.
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

// openDescriptors returns the target of each open file descriptor, by number. It is empty
// on a system without /proc.
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
			continue // the descriptor that ReadDir has used
		}
		// The runtime opens these on first use and keeps them.
		switch target {
		case "anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[pidfd]", "/dev/urandom":
			continue
		}
		// So does package testing with these.
		if isOutput("test.cpuprofile", target) || isOutput("test.trace", target) {
			continue
		}
		open[entry.Name()] = target
	}
	return open
}
