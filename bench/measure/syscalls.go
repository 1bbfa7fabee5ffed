package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// SystemCalls counts the system calls of all threads of a process within a window of
// time. Counting makes each call a little slower.
type SystemCalls struct {
	perf    *exec.Cmd
	control *os.File     // commands to perf
	ack     *os.File     // perf's answers
	output  bytes.Buffer // of perf
	ended   chan error
}

const enteringAny = "raw_syscalls:sys_enter"

// SystemCalls starts a counter whose window has not begun. It returns an error if this
// machine cannot count. The caller must call End.
func (p *Process) SystemCalls() (*SystemCalls, error) {
	path, err := exec.LookPath("perf")
	if err != nil {
		return nil, errors.New("system calls are not counted: there is no perf in PATH (Debian: package linux-perf)")
	}
	commands, control, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ack, acks, err := os.Pipe()
	if err != nil {
		commands.Close()
		control.Close()
		return nil, err
	}
	s := &SystemCalls{control: control, ack: ack, ended: make(chan error, 1)}
	s.perf = exec.Command(path, "stat", "-x", ",", "-e", enteringAny, "-D", "-1", "--control", "fd:3,4",
		"-p", strconv.Itoa(p.cmd.Process.Pid))
	s.perf.ExtraFiles = []*os.File{commands, acks}
	s.perf.Stderr = &s.output
	s.perf.Env = append(os.Environ(), "LC_ALL=C") // numbers without separators
	s.perf.SysProcAttr = endsWithParent()
	err = s.perf.Start()
	commands.Close() // a write must fail when perf has closed its end
	acks.Close()
	if err != nil {
		control.Close()
		ack.Close()
		return nil, fmt.Errorf("system calls are not counted: %w", err)
	}
	go func() { s.ended <- s.perf.Wait() }()
	if err := s.command("disable"); err != nil { // already disabled; the answer shows that perf runs
		s.end()
		return nil, fmt.Errorf("system calls are not counted: %w: perf printed %q", err, s.output.String())
	}
	return s, nil
}

// Begin begins the window.
func (s *SystemCalls) Begin() error { return s.command("enable") }

// End ends the window, if it has begun, and returns the number of calls in it.
func (s *SystemCalls) End() (int64, error) {
	err := s.command("disable")
	s.end()
	if err != nil {
		return 0, fmt.Errorf("counting system calls: %w: perf printed %q", err, s.output.String())
	}
	for line := range strings.Lines(s.output.String()) {
		count, rest, _ := strings.Cut(line, ",")
		switch {
		case !strings.Contains(rest, enteringAny):
		case count == "<not counted>": // no thread has run
			return 0, nil
		default:
			n, err := strconv.ParseInt(count, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("counting system calls: perf printed %q", line)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("counting system calls: perf printed %q", s.output.String())
}

// command sends a command to perf and waits for its answer.
func (s *SystemCalls) command(name string) error {
	if _, err := io.WriteString(s.control, name+"\n"); err != nil {
		return err
	}
	const answer = "ack\n\x00"
	var b [len(answer)]byte
	if err := s.ack.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := io.ReadFull(s.ack, b[:]); err != nil {
		return fmt.Errorf("perf does not answer: %w", err)
	}
	if string(b[:]) != answer {
		return fmt.Errorf("perf answered %q", b)
	}
	return nil
}

// end stops perf, which then prints its counts.
func (s *SystemCalls) end() {
	_ = s.perf.Process.Signal(os.Interrupt) // perf may have ended
	t := time.AfterFunc(stopTimeout, func() { _ = s.perf.Process.Kill() })
	defer t.Stop()
	<-s.ended // the error is always "interrupted"
	s.control.Close()
	s.ack.Close()
}
