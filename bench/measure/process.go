// Package measure starts servers in separate processes, and reads their CPU time and
// memory from the kernel. It works on Linux.
package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The longest times that a process may take.
const (
	startTimeout  = 20 * time.Second // to listen
	stopTimeout   = 5 * time.Second  // to end after Stop
	answerTimeout = 5 * time.Second  // to answer a request
)

// A Process is a running server.
type Process struct {
	Addr string // the address on which it listens

	cmd    *exec.Cmd
	in     io.WriteCloser // nil: it reads no requests
	output lines
	ended  chan struct{} // nil: the caller of Of ends it
	err    error         // the error with which it ended

	requests   sync.Mutex // held during a request
	unanswered error      // of the first missing answer; Allocs then sends no more requests
}

// Start runs a command that prints "listening ADDR" when it is ready, and that ends when
// its standard input ends. ctx limits only the start.
func Start(ctx context.Context, cmd *exec.Cmd) (*Process, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, in: in, output: make(lines, 16)}
	cmd.Stdout = &splitter{to: p.output}
	if err := p.start(); err != nil {
		in.Close()
		return nil, err
	}
	line, err := p.line(ctx, startTimeout)
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s did not print its address: %w", cmd.Path, err)
	}
	addr, ok := strings.CutPrefix(line, "listening ")
	if !ok {
		p.Stop()
		return nil, fmt.Errorf("%s did not print its address but %q", cmd.Path, line)
	}
	p.Addr = addr
	return p, nil
}

// StartAt runs a command that listens on addr. Stop kills it. ctx limits only the start.
func StartAt(ctx context.Context, cmd *exec.Cmd, addr string) (*Process, error) {
	p := &Process{Addr: addr, cmd: cmd}
	if err := p.start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			c.Close()
			return p, nil
		}
		select {
		case <-p.ended:
			return nil, fmt.Errorf("%s ended at once: %w", cmd.Path, p.err)
		case <-ctx.Done():
			p.Stop()
			return nil, fmt.Errorf("%s does not listen on %s: %w", cmd.Path, addr, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// start starts the command and, in the background, waits for its end.
func (p *Process) start() error {
	if p.cmd.Stderr == nil {
		p.cmd.Stderr = os.Stderr
	}
	p.cmd.SysProcAttr = endsWithParent()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		if p.err = p.cmd.Wait(); p.err == nil {
			p.err = errEnded
		}
	}()
	return nil
}

// errEnded is the error of a process that ended with exit status 0.
var errEnded = errors.New("exit status 0")

// Of returns a Process for a command that the caller has started. The caller ends it.
func Of(cmd *exec.Cmd, addr string) *Process { return &Process{Addr: addr, cmd: cmd} }

// Stop ends the process and waits for its end. It kills a process that takes too long.
func (p *Process) Stop() {
	if p.in == nil {
		_ = p.cmd.Process.Kill() // it may have ended
	} else {
		p.in.Close()
	}
	t := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	defer t.Stop()
	<-p.ended
}

// Terminate sends SIGTERM to the process.
func (p *Process) Terminate() error { return p.cmd.Process.Signal(syscall.SIGTERM) }

// Ended returns a channel that is closed when the process has ended. It is nil for a
// Process of [Of].
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits at most d for the process to end. The error is nil if the exit status is 0.
func (p *Process) Wait(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.ended:
		if p.err == errEnded {
			return nil
		}
		return p.err
	case <-t.C:
		return fmt.Errorf("%s has not ended within %v", p.cmd.Path, d)
	}
}

// Allocs returns the number of objects that the process has allocated since its start.
// It writes "allocs" to the standard input of the process, which answers "allocs N". After
// one missing answer, it always returns that error.
func (p *Process) Allocs() (uint64, error) {
	if p.in == nil {
		return 0, errors.New("the process cannot report its allocations")
	}
	p.requests.Lock()
	defer p.requests.Unlock()
	if p.unanswered != nil {
		return 0, p.unanswered
	}
	if _, err := io.WriteString(p.in, "allocs\n"); err != nil {
		return 0, fmt.Errorf("reading the allocations: %w", err)
	}
	line, err := p.line(context.Background(), answerTimeout)
	if err != nil {
		p.unanswered = fmt.Errorf("reading the allocations: %w", err)
		return 0, p.unanswered
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(line, "allocs "), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the process answered allocs with %q, want \"allocs N\"", line)
	}
	return n, nil
}

// line returns the next line that the process prints.
func (p *Process) line(ctx context.Context, d time.Duration) (string, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case line := <-p.output:
		return line, nil
	case <-p.ended:
		select { // the process may have printed the line and ended
		case line := <-p.output:
			return line, nil
		default:
			return "", fmt.Errorf("the process has ended: %w", p.err)
		}
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-t.C:
		return "", fmt.Errorf("the process printed nothing within %v", d)
	}
}

// lines contains the lines that a process has printed.
type lines chan string

// A splitter splits its input into lines.
type splitter struct {
	to   lines
	part []byte
}

func (s *splitter) Write(b []byte) (int, error) {
	s.part = append(s.part, b...)
	for {
		line, rest, whole := bytes.Cut(s.part, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		select {
		case s.to <- string(bytes.TrimSpace(line)):
		default:
			return 0, errors.New("the process printed too many lines")
		}
		s.part = rest
	}
}
