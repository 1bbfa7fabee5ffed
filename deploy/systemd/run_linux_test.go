package systemd

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waitLimit bounds each wait. A busy machine may need seconds for an event.
const waitLimit = 60 * time.Second

// TestService starts the server as systemd does. The server gets a socket, the unit's
// variables, a watchdog, and a socket for notifications. strace records its system calls.
// None may be one that SystemCallFilter refuses.
func TestService(t *testing.T) {
	needs(t, "strace", "systemd-analyze")
	program := filepath.Join(t.TempDir(), "wsecho")
	build := exec.CommandContext(t.Context(), "go", "build", "-pgo=off", "-o", program, ".")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dir, err := os.MkdirTemp("", "wsecho") // t.TempDir() can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()

	trace, log := filepath.Join(dir, "trace"), &bytes.Buffer{}
	service := exec.Command("strace", "-f", "-qq", "-o", trace, "/bin/sh", "-c", `echo $$ >"$1"; LISTEN_PID=$$ exec "$2"`, "sh", filepath.Join(dir, "pid"), program)
	service.Env = append(os.Environ(), "LISTEN_FDS=1", "WATCHDOG_USEC=2000000", "NOTIFY_SOCKET="+notify.LocalAddr().String(), option(t, "Environment"))
	service.ExtraFiles = []*os.File{file}
	service.Stderr = log
	service.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Wait() }()
	defer syscall.Kill(-service.Process.Pid, syscall.SIGKILL)

	states := make(chan string, 100)
	go func() {
		defer close(states)
		buffer := make([]byte, 4096)
		for {
			n, err := notify.Read(buffer)
			if err != nil {
				return
			}
			states <- string(buffer[:n])
		}
	}()
	await := func(want string) {
		t.Helper()
		exited := ended
		for end := time.After(waitLimit); ; {
			select {
			case s := <-states:
				if strings.Contains(s, want) {
					return
				}
			case err := <-exited: // its last notifications may not be read yet
				ended <- err
				exited, end = nil, time.After(5*time.Second)
			case <-end:
				if exited == nil {
					t.Fatalf("the server has ended before %s: %v\n%s", want, <-ended, log)
				}
				t.Fatalf("there was no %s", want)
			}
		}
	}
	await("READY=1")
	check := exec.CommandContext(t.Context(), program, "check", "--timeout=30s", fmt.Sprintf("ws://%s/", l.Addr()))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("wsecho check: %v\n%s", err, out)
	}
	await("WATCHDOG=1")
	text, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await("STOPPING=1")
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("the server: %v\n%s", err, log)
		}
	case <-time.After(waitLimit):
		t.Fatal("the server does not end")
	}

	calls := map[string]bool{}
	traced, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +(\w+)\(`).FindAllSubmatch(traced, -1) {
		calls[string(m[1])] = true
	}
	if !calls["accept4"] || !calls["epoll_ctl"] {
		t.Fatalf("the trace has %d system calls, without accept4 or epoll_ctl", len(calls))
	}
	allowed := callsOf(t, "@system-service")
	for _, set := range []string{"@privileged", "@resources"} {
		for name := range callsOf(t, set) {
			delete(allowed, name)
		}
	}
	for name := range callsOf(t, "@default") { // systemd allows these always
		allowed[name] = true
	}
	for name := range calls {
		if !allowed[name] {
			t.Errorf("the server calls %s, which SystemCallFilter refuses", name)
		}
	}
	t.Logf("the server makes %d of %d allowed system calls", len(calls), len(allowed))
}

// callsOf returns the system calls of a set and of the sets in it.
func callsOf(t *testing.T, set string) map[string]bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "syscall-filter", set).Output()
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]bool{}
	for i, line := range strings.Split(string(out), "\n") {
		name := strings.TrimSpace(line)
		switch {
		case i == 0 || name == "" || strings.HasPrefix(name, "#"):
		case strings.HasPrefix(name, "@"):
			for inner := range callsOf(t, name) {
				calls[inner] = true
			}
		default:
			calls[name] = true
		}
	}
	return calls
}
