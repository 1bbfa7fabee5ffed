//go:build unix

package e2e

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/wsecho/wstest"
)

// outputs are the kinds of files that stdout and stderr may be. Each returns the
// reader's end and the end for the process.
var outputs = map[string]func(t *testing.T) (r, w *os.File){
	"pipe": func(t *testing.T) (r, w *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return r, w
	},
	"FIFO": func(t *testing.T) (r, w *os.File) {
		name := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
		r = openFile(t, name, os.O_RDONLY|syscall.O_NONBLOCK) // does not wait for the writer
		return r, openFile(t, name, os.O_WRONLY)
	},
	"socket pair": func(t *testing.T) (r, w *os.File) { // as systemd connects a service with its journal
		syscall.ForkLock.RLock() // no process may inherit the descriptors
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err == nil {
			syscall.CloseOnExec(fds[0])
			syscall.CloseOnExec(fds[1])
		}
		syscall.ForkLock.RUnlock()
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.SetNonblock(fds[0], true); err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer")
	},
}

func openFile(t *testing.T, name string, flag int) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestReaderExits ends the reader of the log, or that of the messages. The server
// continues, counts the lost lines and drains.
func TestReaderExits(t *testing.T) {
	t.Parallel()
	const shell = `trap "" PIPE; exec wsecho "$@"` // as systemd starts a service
	for name, test := range map[string]struct {
		output   string
		stdout   bool
		ignoring bool // the process ignores SIGPIPE from the beginning
	}{
		"pipe":          {"pipe", false, false},
		"FIFO":          {"FIFO", false, false},
		"socket pair":   {"socket pair", false, false},
		"ignored":       {"pipe", false, true},
		"socket, also":  {"socket pair", false, true},
		"stdout":        {"pipe", true, false},
		"stdout, FIFO":  {"FIFO", true, false},
		"stdout, also ": {"pipe", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, w := outputs[test.output](t)
			defer r.Close()
			defer w.Close()
			args := []string{"--addr=127.0.0.1:0", "--log-messages", "--log-level=debug"}
			cmd := exec.Command("wsecho", args...)
			if test.ignoring {
				cmd = exec.Command("sh", append([]string{"-c", shell, "sh"}, args...)...)
			}
			log, pattern := r, `url=(\S+)`
			cmd.Stderr = w
			if test.stdout {
				other, stderr := outputs["pipe"](t)
				defer other.Close()
				defer stderr.Close()
				log, cmd.Stdout, cmd.Stderr = other, w, stderr
			}
			p := startCommand(t, cmd)
			url := matchLine(t, log, pattern)
			peers := make([]*wstest.Peer, 4)
			for i := range peers {
				peers[i] = dialURL(t, url)
				defer peers[i].Close()
				if i == 0 && test.stdout { // like head -1
					echoes(t, peers[0])
					matchLine(t, r, `(sent): `)
				}
				if i == 0 {
					r.Close()
				}
				echoes(t, peers[i])
			}
			peers[0].Close()
			for range 5 { // each one causes lines
				other := dialURL(t, url)
				echoes(t, other)
				other.Close()
			}
			if test.output == "FIFO" {
				again := openFile(t, w.Name(), os.O_RDONLY|syscall.O_NONBLOCK)
				defer again.Close()
				echoes(t, peers[1])
				other := dialURL(t, url)
				echoes(t, other)
				other.Close()
				want := `log lines lost: stderr was not read in time" lines=[1-9]`
				if test.stdout {
					want = `^\([1-9]\d* messages not shown: stdout was not read in time\)`
				}
				matchLine(t, again, want)
			}
			p.drains(t, peers[1:], syscall.SIGTERM)
		})
	}
}

// startCommand starts the command line of a process without files for its output.
func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

// drains sends the signals at once. Each peer must receive 1001, and the exit code must
// be 0.
func (p *process) drains(t *testing.T, peers []*wstest.Peer, signals ...syscall.Signal) {
	t.Helper()
	var received errgroup.Group
	for _, peer := range peers {
		received.Go(func() error {
			if err := recvGoingAway(peer); err != nil {
				return err
			}
			return answerClose(peer)
		})
	}
	for _, s := range signals {
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := received.Wait(); err != nil {
		t.Error(err)
	}
	if code, err := p.wait(); err != nil || code != 0 {
		t.Errorf("the exit code is %d (%v, %v), want 0", code, p.cmd.ProcessState, err)
	}
}

func dialURL(t *testing.T, url string) *wstest.Peer {
	t.Helper()
	peer, err := wstest.Dial(url, wstest.DialOptions{Timeout: waitLimit})
	if err != nil {
		t.Fatal(err)
	}
	return peer
}

func echoes(t *testing.T, peer *wstest.Peer) {
	t.Helper()
	if err := peer.Send(wstest.TextFrame("hello")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := peer.RecvMessage(); err != nil || string(got) != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// matchLine reads lines until one matches, and returns the first group of the match.
func matchLine(t *testing.T, r *os.File, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	if err := r.SetReadDeadline(time.Now().Add(waitLimit)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if match := re.FindStringSubmatch(lines.Text()); match != nil {
			return match[len(match)-1]
		}
	}
	t.Fatalf("no line matches %s: %v", pattern, lines.Err())
	return ""
}

// TestClientOutputCloses runs the other subcommands with a closed reader. A result that
// cannot be written is a failure, and a lost line of progress is not.
func TestClientOutputCloses(t *testing.T) {
	t.Parallel()
	p := startFor(t, "wsecho")
	defer p.stop(t)
	const nothing = "ws://127.0.0.1:1/" // another test could get a port that was closed
	for name, test := range map[string]struct {
		args   string
		stderr bool // of which the reader is closed; false: stdout
		code   int
		want   string // on the other one
	}{
		"check":                {"check " + p.url(), false, 1, "wsecho: error: .*broken pipe"},
		"check, failing":       {"check " + nothing, true, 3, "^$"},
		"check, quiet":         {"check --quiet " + p.url(), false, 0, "^$"},
		"bench":                {"bench --duration=10ms --warmup=off --rounds=1 --quiet " + p.url(), false, 1, "wsecho: error: .*broken pipe"},
		"bench, JSON":          {"bench --duration=10ms --warmup=off --rounds=1 --quiet --json " + p.url(), false, 1, "wsecho: error: .*broken pipe"},
		"bench, no progress":   {"bench --duration=10ms --warmup=off --rounds=2 " + p.url(), true, 0, "messages/s"},
		"probe":                {"probe --proxy=none " + p.url(), false, 1, "wsecho: error: .*broken pipe"},
		"probe, JSON":          {"probe --proxy=none --json " + p.url(), false, 1, "wsecho: error: .*broken pipe"},
		"probe, failing":       {"probe --proxy=none " + nothing, true, 3, "^$"},
		"connect":              {"connect --proxy=none --json " + p.url(), false, 1, "wsecho: error: .*broken pipe"},
		"connect, no notes":    {"connect --proxy=none " + p.url(), true, 0, "^$"},
		"help, as most others": {"--help", false, -1, "^$"},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := outputs["pipe"](t)
			r.Close()
			defer w.Close()
			ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
			defer cancel()
			cmd := exec.CommandContext(ctx, "wsecho", strings.Fields(test.args)...)
			var other strings.Builder
			cmd.Stdout, cmd.Stderr = w, &other
			if test.stderr {
				cmd.Stdout, cmd.Stderr = &other, w
			}
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("%v, want exit code %d", cmd.ProcessState, test.code)
			}
			if !regexp.MustCompile(test.want).MatchString(other.String()) {
				t.Errorf("the other output is %q, want %s", other.String(), test.want)
			}
		})
	}
}

// TestRepeatedSignal sends several stop signals at once, as service managers do. They are
// one request, and each peer receives 1001.
func TestRepeatedSignal(t *testing.T) {
	t.Parallel()
	p := startFor(t, "wsecho")
	p.drains(t, connect(t, p, 40), syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
}

// TestHangup checks that SIGHUP drains.
func TestHangup(t *testing.T) {
	t.Parallel()
	r, w := outputs["pipe"](t)
	defer r.Close()
	defer w.Close()
	// A child process does not inherit a signal that this process catches. It would inherit
	// that nohup(1) ignores it.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	for _, ignoring := range []bool{false, true} {
		cmd := exec.Command("wsecho", "--addr=127.0.0.1:0")
		if ignoring { // as under nohup
			cmd = exec.Command("sh", "-c", `trap "" HUP; exec wsecho --addr=127.0.0.1:0`)
		}
		cmd.Stderr = w
		p := startCommand(t, cmd)
		url := matchLine(t, r, `url=(\S+)`)
		peers := []*wstest.Peer{dialURL(t, url), dialURL(t, url)}
		want := "hangup"
		stop := syscall.SIGHUP
		if ignoring {
			if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			want, stop = "terminated", syscall.SIGTERM
		}
		p.drains(t, peers, stop)
		if got := matchLine(t, r, `cause="signal: (.*)"`); got != want {
			t.Errorf("ignoring %t: the drain is because of %q, want %q", ignoring, got, want)
		}
		for _, peer := range peers {
			peer.Close()
		}
	}
}
