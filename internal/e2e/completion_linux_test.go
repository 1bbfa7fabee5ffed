package e2e

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/internal/testfull"
)

// TestCompletion types a command line and tabs into each shell, on a terminal. The program
// wsecho there prints its arguments, so the test sees which line the shell has run.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []struct {
		name  string
		start []string
		setup string // the prompt is "ready>", and the script is in the file $SCRIPT
	}{
		{"bash", []string{"bash", "--norc", "--noprofile", "-i"}, `PS1='rea''dy>'; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; source $SCRIPT`},
		{"zsh", []string{"zsh", "-f", "-i"}, `unsetopt beep; autoload -Uz compinit; compinit -D -u; source $SCRIPT; PROMPT='rea''dy>'`},
		// An autoloaded function is the other way to install the script of zsh.
		{"zsh fpath", []string{"zsh", "-f", "-i"}, `unsetopt beep; cp $SCRIPT $DIR/_wsecho; fpath=($DIR $fpath); autoload -Uz compinit; compinit -D -u; PROMPT='rea''dy>'`},
		{"fish", []string{"fish", "--no-config", "-i"}, `function fish_prompt; echo -n 'rea''dy>'; end; set -g fish_greeting; source $SCRIPT`},
	} {
		t.Run(shell.name, func(t *testing.T) {
			for _, tool := range []string{shell.start[0], "script"} {
				if _, err := exec.LookPath(tool); err != nil {
					testfull.Missing(t, "there is no %s", tool)
				}
			}
			t.Parallel()
			term := startTerminal(t, shell.start, shell.setup)
			for _, test := range []struct{ typed, want string }{
				{"wsecho ch\t", "[check]"},
				{"wsecho completion fi\t", "[completion][fish]"},
				{"wsecho help vers\t", "[help][version]"},
				{"wsecho --reusep\t", "[--reuseport]"},
				{"wsecho serve --any-o\t", "[serve][--any-origin]"},
				{"wsecho check --pon\t", "[check][--pong]"},
				{"wsecho bench --skip\t", "[bench][--skip-greeting]"},
				{"wsecho --log-format=js\t", "[--log-format=json]"},
				{"wsecho --log-format js\t", "[--log-format][json]"},
				{"wsecho serve --log-level=wa\t", "[serve][--log-level=warn]"},
				{"wsecho check --ca=$DIR/only-\t", "[check][--ca=DIR/only-file.pem]"},
				{"wsecho check --ca $DIR/only-\t", "[check][--ca][DIR/only-file.pem]"},
			} {
				got := term.run(t, test.typed)
				// zsh writes --flag= for a flag with a value.
				got = strings.ReplaceAll(strings.ReplaceAll(got, term.dir, "DIR"), "=]", "]")
				if got != test.want {
					t.Errorf("%q ran %s, want %s", test.typed, got, test.want)
				}
			}
		})
	}
}

// A terminal is an interactive shell.
type terminal struct {
	dir  string
	in   io.Writer
	mu   sync.Mutex
	text bytes.Buffer
	read int // of text
}

// startTerminal starts a shell on a terminal and runs the line setup.
func startTerminal(t *testing.T, args []string, setup string) *terminal {
	t.Helper()
	term := &terminal{dir: t.TempDir()}
	for name, text := range map[string]string{
		"wsecho":        "#!/bin/sh\nprintf 'ran:'; printf '[%s]' \"$@\"; echo ';'\n",
		"only-file.pem": "",
	} {
		if err := os.WriteFile(filepath.Join(term.dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join(term.dir, "script")
	text, err := exec.CommandContext(t.Context(), "wsecho", "completion", args[0]).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, text, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	shell := exec.CommandContext(ctx, "script", "-qfec", strings.Join(args, " "), "/dev/null")
	shell.Dir = term.dir
	shell.Env = append(os.Environ(), "TERM=dumb", "HOME="+term.dir, "DIR="+term.dir, "SCRIPT="+script, "PATH="+term.dir+":"+os.Getenv("PATH"))
	shell.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	if term.in, err = shell.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	shell.Stdout, shell.Stderr = term, term
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The shell is in a session of its own, which a kill of script's group does not
		// reach. It writes its history to HOME when it ends. script ends after the shell,
		// so after Wait nothing writes to the directory.
		defer cancel()
		kill := time.AfterFunc(waitLimit, cancel)
		defer kill.Stop()
		_, _ = io.WriteString(term.in, "\x15exit\r") // a failed write is reported by Wait
		if err := shell.Wait(); err != nil {
			t.Errorf("the shell did not end by itself: %v", err)
		}
	})
	term.send(t, setup+"\r")
	term.await(t, "ready>")
	return term
}

// Write records the output of the shell.
func (c *terminal) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *terminal) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c.in, text); err != nil {
		t.Fatal(err)
	}
}

// run types the text and return, and returns the arguments of the program that has run.
func (c *terminal) run(t *testing.T, typed string) string {
	t.Helper()
	c.send(t, strings.ReplaceAll(typed, "$DIR", c.dir)+"\r")
	args := c.await(t, `ran:(.*);`)[1]
	c.await(t, "ready>")
	return args
}

// await waits for new output that matches.
func (c *terminal) await(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(waitLimit); ; time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		text := c.text.String()[c.read:]
		if at := re.FindStringIndex(text); at != nil {
			c.read += at[1]
			c.mu.Unlock()
			return re.FindStringSubmatch(text)
		}
		c.mu.Unlock()
		if time.Now().After(end) {
			t.Fatalf("the terminal does not show %s:\n%q", pattern, text)
		}
	}
}
