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

// underWay is how long what attackers do takes to be under way, once they are
// connected.
const underWay = 250 * time.Millisecond

// A crowd is a process that attacks.
type crowd struct {
	cmd    *exec.Cmd
	in     io.Closer
	out    *bufio.Reader
	err    error // of the start
	frozen bool
	over   bool
}

// leftOver begins the command of a process that has of the processors what others leave.
const leftOver = "only=; chrt --idle 0 true 2>/dev/null && only='chrt --idle 0'; exec ${only:-nice -n 19}"

// newCrowd starts one that does what the command attack does. Its own command begins
// with words: where others have to do as well, leftOver lets it do next to nothing.
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

// begin waits until all its connections have been there.
func (c *crowd) begin(t *testing.T) {
	t.Helper()
	if c.err != nil {
		t.Fatal(c.err)
	}
	defer c.limit().Stop()
	if said, err := c.out.ReadString('\n'); err != nil || said != "begun\n" {
		t.Fatalf("the attack has not begun: %q, %v", said, err)
	}
}

// freeze stops it as it is.
func (c *crowd) freeze() error {
	c.frozen = true
	return c.cmd.Process.Signal(syscall.SIGSTOP)
}

// stop ends it, if it has not ended, and returns how many connections it has made;
// afterwards it is 0.
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

// limit bounds what is waited for. Whoever has waited stops it.
func (c *crowd) limit() *time.Timer {
	return time.AfterFunc(2*patience, func() { _ = c.cmd.Process.Kill() })
}
