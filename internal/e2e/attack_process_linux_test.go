package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// rampUp is the time from the attackers' connections to the full attack.
const rampUp = 250 * time.Millisecond

// An attackProcess is a process that attacks a server.
type attackProcess struct {
	cmd    *exec.Cmd
	in     io.Closer
	out    *bufio.Reader
	err    error // the error of the start
	frozen bool
	over   bool
}

// idlePriority is the prefix of a command that gets only idle processor time.
const idlePriority = "only=; chrt --idle 0 true 2>/dev/null && only='chrt --idle 0'; exec ${only:-nice -n 19}"

// startAttack starts a process that runs the command attack. words is a prefix of its
// command. With idlePriority it does almost nothing while other processes work.
func startAttack(words, name, addr string, conns int) *attackProcess {
	c := &attackProcess{cmd: exec.Command("sh", "-c", words+` attack "$@"`, "sh", name, addr, strconv.Itoa(conns))}
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		c.out = bufio.NewReader(out)
		c.in, err = c.cmd.StdinPipe()
	}
	if err == nil {
		err = c.cmd.Start()
	}
	c.err, c.over = err, err != nil
	return c
}

// waitBegun waits until the process has opened all its connections.
func (c *attackProcess) waitBegun(t *testing.T) {
	t.Helper()
	if c.err != nil {
		t.Fatal(c.err)
	}
	defer c.limit().Stop()
	if line, err := c.out.ReadString('\n'); err != nil || line != "begun\n" {
		t.Fatalf("the attack did not begin: %q, %v", line, err)
	}
}

// freeze stops the process with SIGSTOP.
func (c *attackProcess) freeze() error {
	c.frozen = true
	return c.cmd.Process.Signal(syscall.SIGSTOP)
}

// stop ends the process and returns the number of its connections. A second call
// returns 0.
func (c *attackProcess) stop(t *testing.T) (opened int) {
	t.Helper()
	if c.over {
		return 0
	}
	c.over = true
	defer c.limit().Stop()
	_ = c.in.Close()
	if c.frozen {
		_ = c.cmd.Process.Signal(syscall.SIGCONT)
	}
	_, scanned := fmt.Fscanln(c.out, &opened)
	if err := c.cmd.Wait(); err != nil || scanned != nil {
		t.Errorf("the attack: %v, %v", err, scanned)
	}
	return opened
}

// limit bounds a wait. The caller stops the timer after the wait.
func (c *attackProcess) limit() *time.Timer {
	return time.AfterFunc(2*waitLimit, func() { _ = c.cmd.Process.Kill() })
}
