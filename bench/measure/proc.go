// Package measure starts servers as processes of their own and reads from the
// kernel what they cost. It works on Linux.
package measure

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Process is a server that runs.
type Process struct {
	Addr string // where it listens
	cmd  *exec.Cmd
	in   io.Closer
}

// Start runs a command that prints "listening ADDR" when it is ready and ends
// when its standard input does.
func Start(name string, args ...string) (*Process, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, in: in}
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !ok {
		p.Stop()
		return nil, fmt.Errorf("%s did not say where it listens: %q", name, line)
	}
	p.Addr = addr
	return p, nil
}

// StartAt runs a command that listens at addr, and ends when it is killed.
func StartAt(addr, name string, args ...string) (*Process, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Addr: addr, cmd: cmd}
	for range 100 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return p, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.Stop()
	return nil, fmt.Errorf("%s does not listen at %s", name, addr)
}

// Of is a process that was started in another way, and that its starter ends.
func Of(cmd *exec.Cmd, addr string) *Process { return &Process{Addr: addr, cmd: cmd} }

// Stop ends the process.
func (p *Process) Stop() {
	if p.in == nil {
		_ = p.cmd.Process.Kill()
	} else {
		p.in.Close()
	}
	t := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer t.Stop()
	_ = p.cmd.Wait()
}

// CPU returns the time that the process has used, user and system.
func (p *Process) CPU() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name, in parentheses, and may hold anything.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	var ticks int64
	for _, s := range f[11:13] { // utime and stime
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil // USER_HZ is 100 on Linux
}

// Resident returns the memory that the process has in RAM, in bytes.
func (p *Process) Resident() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0, errors.New("/proc/PID/statm is too short")
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(syscall.Getpagesize()), err
}

// Files returns how many file descriptors the process has open.
func (p *Process) Files() (int, error) {
	open, err := p.descriptors()
	return len(open), err
}

// Sockets returns how many of them are sockets.
func (p *Process) Sockets() (n int, err error) {
	open, err := p.descriptors()
	for _, target := range open {
		if strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n, err
}

// descriptors returns what each is.
func (p *Process) descriptors() (open []string, err error) {
	dir := fmt.Sprintf("/proc/%d/fd/", p.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if target, err := os.Readlink(dir + entry.Name()); err == nil { // else it was closed meanwhile
			open = append(open, target)
		}
	}
	return open, err
}
