package e2e

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/internal/testfull"
)

// A cgroup is a group of this test, in version 1 or 2 of the kernel's interface.
type cgroup struct {
	dir   string
	limit string   // the file of the memory limit
	usage []string // files whose sum is the memory in use
}

// newCgroup creates a group with a limit of memory. It skips the test if this machine does
// not allow that.
func newCgroup(t *testing.T, limit int64) cgroup {
	t.Helper()
	var errs []error
	for _, c := range []cgroup{
		{"/sys/fs/cgroup", "memory.max", []string{"memory.current"}},
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", []string{"memory.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes"}},
	} {
		c.dir = filepath.Join(c.dir, fmt.Sprintf("wsecho-test-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-")))
		if err := c.create(limit); err != nil {
			errs = append(errs, err)
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(c.dir); err != nil { // the directory only; the kernel removes the files
				t.Errorf("the cgroup is left: %v", err)
			}
		})
		return c
	}
	t.Skipf("NOT TESTED HERE: no writable memory cgroup: %v", errors.Join(errs...))
	panic("not reached")
}

// create creates the group. It leaves nothing behind if it fails.
func (c cgroup) create(limit int64) error {
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(c.dir, c.limit), os.O_WRONLY, 0) // the kernel has created it
	if err == nil {
		_, err = fmt.Fprintf(f, "%d", limit)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		err = errors.Join(err, os.Remove(c.dir))
	}
	return err
}

// inUse returns the memory in use, with that of the kernel.
func (c cgroup) inUse(t *testing.T) (sum int64) {
	t.Helper()
	for _, name := range c.usage {
		text, err := os.ReadFile(filepath.Join(c.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without this part of version 1
		}
		n, parseErr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err := cmp.Or(err, parseErr); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// wrapper returns a program that runs the lines of the shell and then the program, in the
// same process.
func wrapper(t *testing.T, program, lines string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "start")
	text := fmt.Sprintf("#!/bin/sh\nset -e\n%s\nexec '%s' \"$@\"\n", lines, path)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return script
}

// run returns a program that runs the program in the cgroup.
func (c cgroup) run(t *testing.T, program string) string {
	return wrapper(t, program, fmt.Sprintf("echo $$ >'%s/cgroup.procs'", c.dir))
}

// TestContainerMemory checks in a real cgroup that the server follows the memory limit, and
// which settings it warns about.
func TestContainerMemory(t *testing.T) {
	const limit = 64 << 20
	group := newCgroup(t, limit)
	for _, test := range []struct {
		name   string
		env    []string
		flags  []string
		logged []string
	}{
		{"defaults", nil, nil, []string{`limit_bytes=67108864 go_limit_bytes=5368708\d max_procs=\d+ max_conns=2048`}},
		{"GOMEMLIMIT", []string{"GOMEMLIMIT=20MiB"}, nil, []string{`go_limit_bytes=20971520 `}},
		{"GOGC", []string{"GOGC=50"}, nil, []string{`go_limit_bytes=5368708\d `}},
		{"fewer connections", nil, []string{"--max-conns=100"}, []string{` max_conns=100\b`}},
		{"TLS", nil, []string{"--tls-self-signed"}, []string{` max_conns=819\b`}},
		{"too much", nil, []string{"--max-conns=3000", "--memory-budget=33MiB"}, []string{
			` max_conns=3000\b`, `WARN .*flag=--max-conns value=3000 enough_for=2048`, `WARN .*flag=--memory-budget budget_bytes=34603008 limit_bytes=67108864`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := start(group.run(t, "wsecho"), t.TempDir(), test.env, test.flags...)
			if err != nil {
				t.Fatal(err)
			}
			defer p.kill()
			for _, pattern := range test.logged {
				p.logged(t, pattern)
			}
			p.stop(t)
		})
	}
}

// TestContainerVersion2 gives the process files of version 2 of the cgroups, in a mount
// namespace of its own. Only a parent group has a limit of memory. The quota of processor
// time is for Go's runtime, which uses at least two processors.
func TestContainerVersion2(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("a mount namespace takes root, ip and tc: %v %s", err, out)
	}
	for _, test := range []struct {
		name, memory, cpu string
		logged            string
	}{
		{"limits", "134217728", "50000 100000", fmt.Sprintf(`limit_bytes=134217728 go_limit_bytes=10737417\d max_procs=%d max_conns=4096`, min(2, runtime.NumCPU()))},
		{"broken", "12x", "max 100000", `WARN .*memory limit of the container cannot be read.*12x`},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{
				"cgroup":                      "0::/pod/container\n",
				"mountinfo":                   "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n",
				"fs/pod/memory.max":           test.memory + "\n",
				"fs/pod/container/memory.max": "max\n",
				"fs/pod/container/cpu.max":    test.cpu + "\n",
			} {
				file := filepath.Join(dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			program := wrapper(t, "wsecho", fmt.Sprintf(`
if test -z "$MOUNTED"; then MOUNTED=yes exec unshare --mount "$0" "$@"; fi
mount --bind '%[1]s/fs' /sys/fs/cgroup
mount --bind '%[1]s/cgroup' /proc/$$/cgroup
mount --bind '%[1]s/mountinfo' /proc/$$/mountinfo`, dir))
			p := startFor(t, program)
			p.logged(t, test.logged)
			p.stop(t)
		})
	}
}

// TestContainerProcessors checks that Go's runtime follows the quota of processor time. The
// go line of go.mod decides that, and a quota cannot be seen on a machine of two processors.
func TestContainerProcessors(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.DefaultGODEBUG}}", "example.com/wsecho").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"containermaxprocs=0", "updatemaxprocs=0"} {
		if strings.Contains(string(out), setting) {
			t.Errorf("the command is built with %s: %s", setting, out)
		}
	}
}

// TestContainerConnections measures the memory of idle connections in a real cgroup of 512
// MiB, with that of the kernel. It must be less than the server assumes when it limits the
// number of connections. docs/limits.md has the figures.
func TestContainerConnections(t *testing.T) {
	testfull.Only(t, "10,000 connections take 30 s")
	program := build(t)
	for _, test := range []struct {
		name    string
		conns   int64
		assumed int64 // bytes of a connection
		flags   []string
		scheme  string
	}{
		{"plain", 10_000, 16 << 10, nil, "ws"},
		{"TLS", 2000, 40 << 10, []string{"--tls-self-signed"}, "wss"},
	} {
		t.Run(test.name, func(t *testing.T) {
			needFiles(t, uint64(test.conns)+200)
			group := newCgroup(t, 512<<20)
			p := startFor(t, group.run(t, program), append(test.flags, "--ping-interval=5m")...)
			p.logged(t, ` limit_bytes=536870912 go_limit_bytes=42949672\d `)
			before := group.inUse(t)
			peers := connectTo(t, test.scheme+"://"+p.addr+"/", &tls.Config{InsecureSkipVerify: true}, int(test.conns))
			opened := (group.inUse(t) - before) / test.conns
			idle := opened
			// Connections are parked after a second, and garbage is released after some more.
			for end := time.Now().Add(waitLimit / 2); time.Now().Before(end); time.Sleep(time.Second) {
				idle = min(idle, (group.inUse(t)-before)/test.conns)
			}
			t.Logf("measured: %d connections, %d MiB of 512 in use, %d bytes for each when opened and %d when idle", test.conns, group.inUse(t)>>20, opened, idle)
			if idle > test.assumed {
				t.Errorf("an idle connection takes %d bytes, and the server assumes %d", idle, test.assumed)
			}
			for _, peer := range peers {
				_ = peer.Close()
			}
			p.stop(t)
		})
	}
}
