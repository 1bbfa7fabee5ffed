package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is a server or a proxy. stop ends it.
type process struct {
	cmd     *exec.Cmd
	addr    string
	listens chan string   // its address, from its output
	done    chan struct{} // closed when it has ended

	mu  sync.Mutex
	log []byte // the last bytes of its output
}

var listening = regexp.MustCompile(`listening (?:addr=)?(\S+)`)

// maxLog bounds the output that is kept.
const maxLog = 64 << 10

// Write adds to the log.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, b...)
	if m := listening.FindSubmatch(p.log); m != nil {
		select {
		case p.listens <- string(m[1]):
		default:
		}
	}
	if len(p.log) > maxLog {
		p.log = append([]byte(nil), p.log[len(p.log)-maxLog:]...)
	}
	return len(b), nil
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.log)
}

// start starts a command. Its stdin ends with this process.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, listens: make(chan string, 1), done: make(chan struct{})}
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = p, p, 5*time.Second
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // stop has caused the end, or problem reports it
	}()
	return p, nil
}

// startServer starts a command that prints its address behind "listening".
func startServer(cmd *exec.Cmd) (*process, error) {
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	select {
	case p.addr = <-p.listens:
		return p, nil
	case <-p.done:
	case <-time.After(limit):
	}
	p.stop()
	return nil, fmt.Errorf("%s did not print its address: %s", cmd.Path, p.text())
}

// stop ends the process and waits for its end.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // nginx then ends its workers
	kill := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	<-p.done
}

// problem returns the text of a process that has ended by itself, for an error.
func (p *process) problem() string {
	select {
	case <-p.done:
		return strings.TrimSpace(p.cmd.Path + " has ended: " + p.text())
	default:
		return ""
	}
}
