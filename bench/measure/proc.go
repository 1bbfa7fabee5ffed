package measure

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// CPU returns the time that the process has used, user and system.
func (p *Process) CPU() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name, in parentheses, and may contain any character.
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

// Peak returns the maximum of Resident since the start of the process.
func (p *Process) Peak() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmHWM: the process has ended")
}

// Files returns the number of open file descriptors of the process.
func (p *Process) Files() (int, error) {
	open, err := p.descriptors()
	return len(open), err
}

// Sockets returns the number of open sockets of the process.
func (p *Process) Sockets() (n int, err error) {
	open, err := p.descriptors()
	for _, target := range open {
		if strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n, err
}

// descriptors returns the target of each open descriptor.
func (p *Process) descriptors() (open []string, err error) {
	dir := fmt.Sprintf("/proc/%d/fd/", p.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if target, err := os.Readlink(dir + entry.Name()); err == nil { // an error: the descriptor was closed meanwhile
			open = append(open, target)
		}
	}
	return open, err
}
