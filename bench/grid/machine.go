package grid

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"example.com/wsecho/bench/result"
)

// thisMachine describes the machine of the run.
func thisMachine() (result.Machine, error) {
	m := result.Machine{Processors: runtime.NumCPU(), Go: runtime.Version()}
	var err error
	if m.Processor, err = valueIn("/proc/cpuinfo", "model name", ":"); err != nil {
		return m, err
	}
	memory, err := valueIn("/proc/meminfo", "MemTotal", ":")
	if err != nil {
		return m, err
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(memory, " kB"), 10, 64)
	if err != nil {
		return m, fmt.Errorf("/proc/meminfo: MemTotal: %w", err)
	}
	m.Memory = kib * KiB
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return m, err
	}
	m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	if m.System, err = valueIn("/etc/os-release", "PRETTY_NAME", "="); err != nil {
		m.System = runtime.GOOS // some systems lack the file
	}
	m.System = strings.Trim(m.System, `"`)
	return m, nil
}

// valueIn returns the value of a name in a file with lines "name separator value". It
// returns "" if the file does not have the name.
func valueIn(file, name, separator string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if n, value, ok := strings.Cut(lines.Text(), separator); ok && strings.TrimSpace(n) == name {
			return strings.TrimSpace(value), nil
		}
	}
	return "", lines.Err()
}
