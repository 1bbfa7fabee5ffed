// Package measure starts servers as processes of their own and reads their CPU time and
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

// The longest times of a process.
const (
	startTimeout  = 20 * time.Second // until it listens
	stopTimeout   = 5 * time.Second  // to end when it is asked to
	answerTimeout = 5 * time.Second  // to answer a question
)

// A Process is a server that runs.
type Process struct {
	Addr string // where it listens

	cmd   *exec.Cmd
	in    io.WriteCloser // nil: it reads no questions
	said  lines
	ended chan struct{} // nil: its starter ends it
	err   error         // with which it ended

	asking sync.Mutex
	deaf   error // why it does not answer; it is not asked again
}

// Start runs a command that prints "listening ADDR" when it is ready and ends
// when its standard input does. ctx is for the start alone.
func Start(ctx context.Context, cmd *exec.Cmd) (*Process, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, in: in, said: make(lines, 16)}
	cmd.Stdout = &splitter{to: p.said}
	if err := p.start(); err != nil {
		in.Close()
		return nil, err
	}
	line, err := p.line(ctx, startTimeout)
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s did not say where it listens: %w", cmd.Path, err)
	}
	addr, ok := strings.CutPrefix(line, "listening ")
	if !ok {
		p.Stop()
		return nil, fmt.Errorf("%s did not say where it listens but %q", cmd.Path, line)
	}
	p.Addr = addr
	return p, nil
}

// StartAt runs a command that listens at addr, and ends when it is killed. ctx is
// for the start alone.
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
			return nil, fmt.Errorf("%s does not listen at %s: %w", cmd.Path, addr, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// start starts the command and waits for it in the background.
func (p *Process) start() error {
	if p.cmd.Stderr == nil {
		p.cmd.Stderr = os.Stderr
	}
	p.cmd.SysProcAttr = withUs()
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

// errEnded is of a process that ended well.
var errEnded = errors.New("exit status 0")

// Of is a process that was started in another way, and that its starter ends.
func Of(cmd *exec.Cmd, addr string) *Process { return &Process{Addr: addr, cmd: cmd} }

// Stop ends the process, and kills it if that takes too long.
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

// Terminate asks the process to end, by SIGTERM.
func (p *Process) Terminate() error { return p.cmd.Process.Signal(syscall.SIGTERM) }

// Ended is closed when the process has ended. It is nil for one of [Of].
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the process to end, for at most d. The error is nil if it has
// ended well.
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
// It writes "allocs" to the standard input of the process, which answers "allocs N".
// After one missing answer it does not ask again.
func (p *Process) Allocs() (uint64, error) {
	if p.in == nil {
		return 0, errors.New("the process cannot be asked what it has allocated")
	}
	p.asking.Lock()
	defer p.asking.Unlock()
	if p.deaf != nil {
		return 0, p.deaf
	}
	if _, err := io.WriteString(p.in, "allocs\n"); err != nil {
		return 0, fmt.Errorf("asking what was allocated: %w", err)
	}
	line, err := p.line(context.Background(), answerTimeout)
	if err != nil {
		p.deaf = fmt.Errorf("asking what was allocated: %w", err)
		return 0, p.deaf
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(line, "allocs "), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("asked what it has allocated, the process says %q", line)
	}
	return n, nil
}

// line returns the next line that the process prints.
func (p *Process) line(ctx context.Context, d time.Duration) (string, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case line := <-p.said:
		return line, nil
	case <-p.ended:
		select { // it may have printed the line and ended
		case line := <-p.said:
			return line, nil
		default:
			return "", fmt.Errorf("the process has ended: %w", p.err)
		}
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-t.C:
		return "", fmt.Errorf("nothing was said within %v", d)
	}
}

// lines are what a process has printed.
type lines chan string

// A splitter makes lines of what is written to it.
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
			return 0, errors.New("it says more than it was asked")
		}
		s.part = rest
	}
}
