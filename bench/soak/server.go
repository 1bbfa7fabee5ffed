package soak

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"example.com/wsecho/bench/measure"
)

// A Server is an echo server in a separate process. Its log goes to the Ledger.
type Server struct {
	*measure.Process
	Ledger
	Name   string
	Scheme string // ws or wss

	cmd      *exec.Cmd
	sockets  int           // open sockets without connections
	logEnded chan struct{} // closed at the end of the log
	addr     chan string
}

// Start starts a server that logs JSON to stderr, as wsecho does. It logs a line
// "listening" with its addr, and a line "ended" for each connection. Each line with the
// level WARN or ERROR becomes a complaint in the Ledger.
func Start(cmd *exec.Cmd, name, scheme string) (*Server, error) {
	// Ctrl-C at a terminal must reach only this process, which stops the server after the
	// peers.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{Name: name, Scheme: scheme, cmd: cmd, logEnded: make(chan struct{}), addr: make(chan string, 1)}
	go func() {
		defer close(s.logEnded)
		s.readLog(log)
	}()
	select {
	case addr := <-s.addr:
		s.Process = measure.Of(cmd, addr)
	case <-s.logEnded:
		err = fmt.Errorf("%s ended at once", name)
	case <-time.After(20 * time.Second):
		err = fmt.Errorf("%s did not log its address", name)
	}
	if err == nil {
		s.sockets, err = s.Sockets()
	}
	if err != nil {
		_ = cmd.Process.Kill()
		<-s.logEnded
		_ = cmd.Wait()
		return nil, err
	}
	return s, nil
}

// readLog reads the log to its end.
func (s *Server) readLog(log io.Reader) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Level, Msg, Addr string
		}
		err := json.Unmarshal(lines.Bytes(), &line)
		switch {
		case err != nil, line.Level == "ERROR", line.Level == "WARN":
			s.Complain("the log of %s: %s", s.Name, lines.Text())
		case line.Msg == "listening":
			s.addr <- line.Addr
		case line.Msg == "ended":
			var o Outcome
			if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
				s.Complain("the log of %s: %v: %s", s.Name, err, lines.Text())
				continue
			}
			s.Outcome(o)
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
		s.Complain("the log of %s: %v", s.Name, err)
		_, _ = io.Copy(io.Discard, log) // otherwise a write of the server would block
	}
}

// URL returns the URL of the server.
func (s *Server) URL() string { return s.Scheme + "://" + s.Addr + "/" }

// A Quiet is the state of a server without connections.
type Quiet struct {
	Resident int64 // bytes
	Files    int   // open descriptors
}

// Quiet waits at most d until every connection has its Outcome and all sockets are closed.
// It complains about missing Outcomes and open sockets, and returns the measured state. No
// peer may be connected.
func (s *Server) Quiet(d time.Duration) (q Quiet, err error) {
	select {
	case <-s.logEnded: // the server has ended
		d = 0
	default:
	}
	end := time.Now().Add(d)
	s.Balance(d)
	for {
		sockets, err := s.Sockets()
		if err != nil {
			return q, err
		}
		if sockets <= s.sockets {
			break
		}
		if time.Now().After(end) {
			s.Complain("%s has %d sockets open without connections, want %d as at the start", s.Name, sockets, s.sockets)
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if q.Files, err = s.Files(); err != nil {
		return q, err
	}
	q.Resident, err = s.Resident()
	return q, err
}

// Stop sends an interrupt to the server and waits at most d for its end. It complains if
// the exit status is not 0. It returns when it has read the whole log.
func (s *Server) Stop(d time.Duration) {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.Complain("%s: %v", s.Name, err)
	}
	late := time.AfterFunc(d, func() {
		s.Complain("%s does not end within %v", s.Name, d)
		_ = s.cmd.Process.Kill()
	})
	defer late.Stop()
	<-s.logEnded
	if err := s.cmd.Wait(); err != nil {
		s.Complain("%s ended with an error: %v", s.Name, err)
	}
}

// Build builds wsecho in a new directory and returns the path of the binary. The caller
// removes the directory.
func Build() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "example.com/wsecho").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module of wsecho (run this in bench/): %w", err)
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "wsecho")
	cmd := exec.Command("go", "build", "-o", binary, ".")
	cmd.Dir = strings.TrimSpace(string(out))
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("building wsecho: %w", err)
	}
	return binary, nil
}
