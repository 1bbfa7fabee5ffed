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

// SystemCalls counts the system calls of all threads of a process, within a window of
// time. While it counts, each of them costs the process a little more.
type SystemCalls struct {
	perf    *exec.Cmd
	control *os.File // commands to perf
	ack     *os.File // perf's answers
	said    bytes.Buffer
	ended   chan error
}

const enteringAny = "raw_syscalls:sys_enter"

// SystemCalls prepares to count. The error says why this machine cannot. The caller must
// call End.
func (p *Process) SystemCalls() (*SystemCalls, error) {
	path, err := exec.LookPath("perf")
	if err != nil {
		return nil, errors.New("system calls are not counted: there is no perf in PATH (Debian has it in linux-perf)")
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
	s.perf.Stderr = &s.said
	s.perf.Env = append(os.Environ(), "LC_ALL=C") // no other signs in numbers
	s.perf.SysProcAttr = withUs()
	err = s.perf.Start()
	commands.Close() // so that a write fails when perf has closed its end
	acks.Close()
	if err != nil {
		control.Close()
		ack.Close()
		return nil, fmt.Errorf("system calls are not counted: %w", err)
	}
	go func() { s.ended <- s.perf.Wait() }()
	if err := s.tell("disable"); err != nil { // it is disabled, but the answer shows that perf runs
		s.end()
		return nil, fmt.Errorf("system calls are not counted: %w: perf says %q", err, s.said.String())
	}
	return s, nil
}

// Begin begins the window.
func (s *SystemCalls) Begin() error { return s.tell("enable") }

// End ends the window, if it has begun, and returns the number of calls in it.
func (s *SystemCalls) End() (int64, error) {
	err := s.tell("disable")
	s.end()
	if err != nil {
		return 0, fmt.Errorf("counting system calls: %w: perf says %q", err, s.said.String())
	}
	for line := range strings.Lines(s.said.String()) {
		count, rest, _ := strings.Cut(line, ",")
		switch {
		case !strings.Contains(rest, enteringAny):
		case count == "<not counted>": // no thread has run
			return 0, nil
		default:
			n, err := strconv.ParseInt(count, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("counting system calls: perf says %q", line)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("counting system calls: perf says %q", s.said.String())
}

// tell sends a command to perf and waits for its answer.
func (s *SystemCalls) tell(command string) error {
	if _, err := io.WriteString(s.control, command+"\n"); err != nil {
		return err
	}
	const answer = "ack\n\x00"
	var b [len(answer)]byte
	if err := s.ack.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := io.ReadFull(s.ack, b[:]); err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	if string(b[:]) != answer {
		return fmt.Errorf("it answers %q", b)
	}
	return nil
}

// end stops perf, which then prints its counts.
func (s *SystemCalls) end() {
	_ = s.perf.Process.Signal(os.Interrupt) // it may have ended
	t := time.AfterFunc(stopTimeout, func() { _ = s.perf.Process.Kill() })
	defer t.Stop()
	<-s.ended // always as interrupted
	s.control.Close()
	s.ack.Close()
}
