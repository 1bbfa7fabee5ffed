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

// underWay is the time from the attackers' connections to the full attack.
const underWay = 250 * time.Millisecond

// A crowd is an attacking process.
type crowd struct {
	cmd    *exec.Cmd
	in     io.Closer
	out    *bufio.Reader
	err    error // the error of the start
	frozen bool
	over   bool
}

// leftOver is the prefix of a command that gets only idle processor time.
const leftOver = "only=; chrt --idle 0 true 2>/dev/null && only='chrt --idle 0'; exec ${only:-nice -n 19}"

// newCrowd starts a crowd that runs the command attack. words is a prefix of its
// command. With leftOver the crowd does almost nothing while other processes work.
func newCrowd(words, name, addr string, conns int) *crowd {
	c := &crowd{cmd: exec.Command("sh", "-c", words+` attack "$@"`, "sh", name, addr, strconv.Itoa(conns))}
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

// begin waits until the crowd has opened all its connections.
func (c *crowd) begin(t *testing.T) {
	t.Helper()
	if c.err != nil {
		t.Fatal(c.err)
	}
	defer c.limit().Stop()
	if said, err := c.out.ReadString('\n'); err != nil || said != "begun\n" {
		t.Fatalf("the attack did not begin: %q, %v", said, err)
	}
}

// freeze stops the process with SIGSTOP.
func (c *crowd) freeze() error {
	c.frozen = true
	return c.cmd.Process.Signal(syscall.SIGSTOP)
}

// stop ends the crowd and returns the number of its connections. A second call
// returns 0.
func (c *crowd) stop(t *testing.T) (made int) {
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
	_, scanned := fmt.Fscanln(c.out, &made)
	if err := c.cmd.Wait(); err != nil || scanned != nil {
		t.Errorf("the attack: %v, %v", err, scanned)
	}
	return made
}

// limit bounds a wait. The caller stops the timer after the wait.
func (c *crowd) limit() *time.Timer {
	return time.AfterFunc(2*waitLimit, func() { _ = c.cmd.Process.Kill() })
}
