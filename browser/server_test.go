package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// A server is a running wsecho.
type server struct {
	t           *testing.T
	cmd         *exec.Cmd
	log, out    string // the files of its stderr and stdout
	addr, admin string
	done        chan struct{}
}

// serve starts wsecho on free ports and waits until it serves. The test stops it.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	return serveOn(t, "127.0.0.1:0", args...)
}

func serveOn(t *testing.T, addr string, args ...string) *server {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	stdout, err := os.Create(filepath.Join(filepath.Dir(stderr.Name()), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	s := &server{t: t, log: stderr.Name(), out: stdout.Name(), done: make(chan struct{})}
	s.cmd = exec.Command(file, append([]string{"--addr=" + addr, "--admin-addr=127.0.0.1:0"}, args...)...)
	s.cmd.Stdout, s.cmd.Stderr = stdout, stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // stop reports the end
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // an error means that it has ended
		<-s.done
	})
	s.addr = s.logged(`listening"?[ ,]"?addr"?[=:]"?([^" ]+)`)
	s.admin = s.logged(`serving metrics"[ ,]"?addr"?[=:]"?([^" ]+)`)
	return s
}

func (s *server) url() string { return "http://" + s.addr + "/" }

// stop sends SIGTERM, which begins the drain, and waits until the process has ended.
func (s *server) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.done:
	case <-time.After(waitLimit):
		s.t.Fatal("wsecho did not end after SIGTERM")
	}
}

// logged waits until the log matches the expression and returns the first group of it.
func (s *server) logged(expr string) string {
	s.t.Helper()
	return s.matches(s.log, expr)
}

// printed is logged for stdout, which has the messages.
func (s *server) printed(expr string) string {
	s.t.Helper()
	return s.matches(s.out, expr)
}

func (s *server) matches(file, expr string) string {
	s.t.Helper()
	re := regexp.MustCompile(expr)
	var found []string
	wait(s.t, fmt.Sprintf("a line %s in %s", expr, filepath.Base(file)), func() error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if found = re.FindStringSubmatch(string(text)); found == nil {
			return fmt.Errorf("got:\n%s", text)
		}
		return nil
	})
	return found[len(found)-1]
}

// wait calls check until it returns nil, at most for waitLimit. Then the test fails with the
// last error.
func wait(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(waitLimit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s: %v", waitLimit, what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
