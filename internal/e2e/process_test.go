package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A process is a running wsecho. A nil process has ended.
type process struct {
	cmd  *exec.Cmd
	addr string // the listen address
	log  string // the file of its stderr
	done chan struct{}
}

// start starts the program on a free port and waits until it serves. The files out and
// log in dir receive its stdout and stderr.
func start(program, dir string, environ []string, args ...string) (*process, error) {
	stdout, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	return startWith(stdout, program, dir, environ, args...)
}

// startWith is start with the given stdout.
func startWith(stdout *os.File, program, dir string, environ []string, args ...string) (*process, error) {
	stderr, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	p := &process{log: stderr.Name(), done: make(chan struct{})}
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--addr=") }) {
		args = append([]string{"--addr=127.0.0.1:0"}, args...) // each --addr is one more address
	}
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append(os.Environ(), environ...)
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // wait checks the exit code
	}()
	match, err := waitFor(p.log, `listening"?[ ,]"?addr"?[=:]"?([^" ]+)`)
	if err != nil {
		p.kill()
		return nil, err
	}
	p.addr = match[1]
	return p, nil
}

// wait waits for the end of the process and returns its exit code.
func (p *process) wait() (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(waitLimit):
		return 0, errors.New("the process did not end in time")
	}
}

func (p *process) kill() {
	if p != nil {
		_ = p.cmd.Process.Kill() // an error means that the process has ended
		<-p.done
	}
}

func (p *process) url() string { return "ws://" + p.addr + "/" }

// startFor is start for a test. The process must have ended before the test ends.
func startFor(t testing.TB, program string, args ...string) *process {
	t.Helper()
	p, err := start(program, t.TempDir(), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// stop ends the process as a service manager does, and checks the exit code.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	code, err := p.wait()
	if err == nil && code != 0 {
		err = fmt.Errorf("the exit code is %d", code)
	}
	if err != nil {
		text, _ := os.ReadFile(p.log)
		t.Fatalf("%v; its log:\n%s", err, text)
	}
}

// logged checks that a line of the log matches the pattern.
func (p *process) logged(t *testing.T, pattern string) {
	t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(pattern).Match(text) {
		t.Errorf("nothing matches %s in the log:\n%s", pattern, text)
	}
}
