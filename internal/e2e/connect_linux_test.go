package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// printCode prints the exit code of the last command, and the mode of the terminal.
const printCode = `echo code: $?, $(stty -a | grep -ow '.icanon\|icanon') $(stty -a | grep -ow '.echo\|echo')`

// connectOn starts wsecho connect in a shell on a terminal. When it has ended, the shell
// prints its exit code and whether the terminal is in its usual mode. Under nohup(1) the
// program would ignore SIGHUP.
func connectOn(t *testing.T, term *terminal, url string) (pid int) {
	t.Helper()
	program, err := exec.LookPath("wsecho")
	if err != nil {
		t.Fatal(err)
	}
	term.send(t, fmt.Sprintf(`sh -c 'echo pid: $$; TERM=xterm exec env --default-signal=HUP %s connect --timeout=30s %s'; %s`+"\r", program, url, printCode))
	pid, err = strconv.Atoi(term.await(t, `pid: (\d+)\r\n`)[1])
	if err != nil {
		t.Fatal(err)
	}
	term.await(t, `connected to .*\r\n/help lists the commands\r\n> `)
	return pid
}

// startBash starts a shell for connectOn.
func startBash(t *testing.T) *terminal {
	for _, tool := range []string{"bash", "script", "stty"} {
		if _, err := exec.LookPath(tool); err != nil {
			testfull.Missing(t, "there is no %s", tool)
		}
	}
	return startTerminal(t, []string{"bash", "--norc", "--noprofile", "-i"}, `PS1='rea''dy>'; bind 'set enable-bracketed-paste off'`)
}

// TestConnectTerminal types into wsecho connect: editing, history, output while a line is
// typed, and the width of the terminal.
func TestConnectTerminal(t *testing.T) {
	t.Parallel()
	term := startBash(t)
	peers := make(chan *wstest.Peer, 1)
	received := make(chan string, 1)
	url := wstest.Serve(t, func(p *wstest.Peer) {
		p.Timeout = waitLimit
		peers <- p
		_, _ = p.Answer(t.Context(), wstest.AnswerOptions{Echo: true, Each: func(f wstest.Frame) {
			if f.Opcode == wstest.Text {
				received <- string(f.Payload)
			}
		}})
	})
	term.send(t, "echo name: $(tty)\r")
	device := term.await(t, `name: (/dev/\S+)\r\n`)[1]
	connectOn(t, term, url)
	peer := <-peers
	sent := func(want string) {
		t.Helper()
		if got := <-received; got != want {
			t.Errorf("the server received %q, want %q", got, want)
		}
		term.await(t, fmt.Sprintf(`\d\d:\d\d:\d\d\.\d{3} text, %d bytes: "%s"`, len(want), want))
	}
	const left, up = "\x1b[D", "\x1b[A"

	term.send(t, "wrld"+left+left+left+"o\r")
	sent("world")
	term.send(t, "hal")
	term.await(t, "hal")
	if err := peer.Send(wstest.TextFrame("news\x1b[2J")); err != nil {
		t.Fatal(err)
	}
	term.await(t, `text, 8 bytes: "news\\x1b\[2J"\r\n> hal`)
	term.send(t, "f\r")
	sent("half")
	term.send(t, up+up+"\r")
	sent("world")

	term.send(t, "/ping\r")
	term.await(t, `pong after \d`)
	term.send(t, "/bogus\r")
	term.await(t, `there is no command "/bogus"`)
	term.send(t, strings.Repeat("y", 4097)+"\r")
	term.await(t, `the line was not sent: it has more than 4096 characters`)

	if out, err := exec.CommandContext(t.Context(), "stty", "-F", device, "cols", "40").CombinedOutput(); err != nil {
		t.Fatalf("stty: %v: %s", err, out)
	}
	term.await(t, `> `) // drawn again
	term.send(t, strings.Repeat("z", 50))
	term.await(t, `z{38}\r\nz{12}`)
	term.send(t, "\r")
	sent(strings.Repeat("z", 50))

	term.send(t, "\x04") // Ctrl-D
	term.await(t, `ended: closed by this side, code 1000, after`)
	term.await(t, `code: 0, icanon echo\r\n`)
}

// TestConnectRestores ends wsecho connect in different ways, with a line half typed. It
// checks the exit code and the mode of the terminal.
func TestConnectRestores(t *testing.T) {
	t.Parallel()
	term := startBash(t)
	big := filepath.Join(t.TempDir(), "big") // more than the buffers of the sockets
	if err := os.WriteFile(big, make([]byte, 15<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		end  func(pid int, p *wstest.Peer) error
		code int
	}{
		{"Ctrl-C", func(int, *wstest.Peer) error { term.send(t, "\x03"); return nil }, 0},
		{"close", func(int, *wstest.Peer) error { term.send(t, "\x15/close 4000 bye\r"); return nil }, 0},
		{"server", func(_ int, p *wstest.Peer) error { return p.Send(wstest.CloseFrame(1001, "")) }, 8},
		{"reset", func(_ int, p *wstest.Peer) error { return p.RST() }, 9},
		{"SIGTERM", func(pid int, _ *wstest.Peer) error { return syscall.Kill(pid, syscall.SIGTERM) }, 0},
		{"SIGHUP", func(pid int, _ *wstest.Peer) error { return syscall.Kill(pid, syscall.SIGHUP) }, 0},
		{"SIGQUIT", func(pid int, _ *wstest.Peer) error { return syscall.Kill(pid, syscall.SIGQUIT) }, 2}, // as Go exits
		{"stuck", func(int, *wstest.Peer) error {
			term.send(t, "\x15/file "+big+"\r\x03")
			return nil
		}, 7},
		{"stopped", func(pid int, _ *wstest.Peer) error {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				return err
			}
			term.await(t, `Stopped(.*\r\n)*code: 147, .*\r\n(.*\r\n)*ready>`)
			term.send(t, "fg; "+printCode+"\r")
			term.await(t, `> half`)
			term.send(t, "\x03")
			return nil
		}, 0},
	} {
		peers := make(chan *wstest.Peer, 1)
		url := wstest.Serve(t, func(p *wstest.Peer) {
			peers <- p
			if test.name == "stuck" {
				wstest.Silent(p)
				return
			}
			_, _ = p.Answer(t.Context(), wstest.AnswerOptions{})
		})
		pid := connectOn(t, term, url)
		peer := <-peers
		term.send(t, "half")
		term.await(t, "half")
		if err := test.end(pid, peer); err != nil {
			t.Fatal(err)
		}
		got := term.await(t, `code: (\d+), (.*)\r\n`)
		if got[1] != strconv.Itoa(test.code) || got[2] != "icanon echo" {
			t.Errorf("%s: the exit code is %s, want %d, and the terminal has %s", test.name, got[1], test.code, got[2])
		}
		term.await(t, "ready>")
	}
}
