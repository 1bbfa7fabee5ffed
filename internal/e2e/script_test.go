package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/wsecho/wstest"
)

// TestScripts runs the scripts in testdata/script, which start the real main in other
// processes. The scripts have the commands of testscript and these:
//
//	serve [NAME=VALUE]... [flags]    start wsecho on a free port, $ADDR; its log
//	                                 is the file log, its stdout the file out
//	refused [as above] PATTERN       want exit code 2 and an error that matches
//	failed [as above] PATTERN        the same with exit code 1
//	ends CODE [as above] PATTERN     the same with this exit code
//	signal TERM|INT                  signal the process of serve
//	exited CODE                      wait for its end and this exit code
//	wait-for FILE PATTERN            wait until the file matches
//	[!] get PATH STATUS PATTERN [HEADER:VALUE]...
//	                                 send a GET and compare the answer
//	[!] open PEER [HEADER:VALUE]...  open a WebSocket
//	send PEER TEXT [TIMES]           TEXT is as in a Go string
//	recv PEER TEXT [TIMES]
//	closed PEER CODE                 wait for the close frame, answer, wait for FIN
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			s := &scriptState{peers: map[string]*wstest.Peer{}}
			env.Values[scriptStateKey{}] = s
			env.Setenv("WSECHO_ADMIN_ADDR", "off")
			env.Defer(s.end)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":    scriptCommand(0, false, (*scriptState).serve),
			"refused":  scriptCommand(1, false, (*scriptState).refused),
			"failed":   scriptCommand(1, false, (*scriptState).failed),
			"ends":     scriptCommand(2, false, (*scriptState).endsWith),
			"signal":   scriptCommand(1, false, (*scriptState).signal),
			"exited":   scriptCommand(1, false, (*scriptState).exited),
			"wait-for": scriptCommand(2, false, (*scriptState).waitFor),
			"get":      scriptCommand(3, true, (*scriptState).get),
			"open":     scriptCommand(1, true, (*scriptState).open),
			"send":     scriptCommand(2, false, (*scriptState).send),
			"recv":     scriptCommand(2, false, (*scriptState).recv),
			"begun":    scriptCommand(1, false, (*scriptState).begun),
			"closed":   scriptCommand(2, false, (*scriptState).closed),
		},
	})
}

// A scriptState has the process and the peers of a script.
type scriptState struct {
	process *process
	peers   map[string]*wstest.Peer
}

type scriptStateKey struct{}

// scriptCommand returns a command of testscript that fails if f returns an error.
func scriptCommand(least int, negatable bool, f func(*scriptState, *testscript.TestScript, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if len(args) < least || neg && !negatable {
			ts.Fatalf("wrong number of arguments, or ! before a command without it")
		}
		err := f(ts.Value(scriptStateKey{}).(*scriptState), ts, args)
		switch {
		case err != nil && neg:
			ts.Logf("%v", err)
		case err != nil:
			ts.Fatalf("%v", err)
		case neg:
			ts.Fatalf("the command succeeded, want a failure")
		}
	}
}

func (s *scriptState) end() {
	for _, p := range s.peers {
		p.Close()
	}
	s.process.kill()
}

// variables splits the arguments into variables and flags.
func variables(args []string) (environ, rest []string) {
	n := 0
	for n < len(args) && strings.HasPrefix(args[n], "WSECHO_") {
		n++
	}
	return args[:n], args[n:]
}

func (s *scriptState) serve(ts *testscript.TestScript, args []string) (err error) {
	s.process.kill()
	environ, args := variables(args)
	s.process, err = start("wsecho", ts.MkAbs("."), environ, args...)
	if err == nil {
		ts.Setenv("ADDR", s.process.addr)
	}
	return err
}

func (s *scriptState) refused(_ *testscript.TestScript, args []string) error { return s.ends(2, args) }
func (s *scriptState) failed(_ *testscript.TestScript, args []string) error  { return s.ends(1, args) }

func (s *scriptState) endsWith(_ *testscript.TestScript, args []string) error {
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	return s.ends(code, args[1:])
}

// ends runs wsecho until it exits.
func (s *scriptState) ends(code int, args []string) error {
	pattern := args[len(args)-1]
	environ, args := variables(args[:len(args)-1])
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "wsecho", args...)
	cmd.Env = append(os.Environ(), environ...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the exit code is checked below
	first, _, _ := strings.Cut(stderr.String(), "\n")
	switch got := cmd.ProcessState.ExitCode(); {
	case got != code:
		return fmt.Errorf("the exit code is %d, want %d; stderr: %s", got, code, &stderr)
	case stdout.Len() > 0:
		return fmt.Errorf("stdout has %q, want nothing", &stdout)
	case !regexp.MustCompile("^wsecho: error: " + pattern).MatchString(first):
		return fmt.Errorf("%q does not match %s", first, pattern)
	}
	return nil
}

func (s *scriptState) signal(_ *testscript.TestScript, args []string) error {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt}
	return s.process.cmd.Process.Signal(signals[args[0]])
}

func (s *scriptState) exited(_ *testscript.TestScript, args []string) error {
	code, err := s.process.wait()
	if err == nil && strconv.Itoa(code) != args[0] {
		err = fmt.Errorf("the exit code is %d, want %s", code, args[0])
	}
	return err
}

func (s *scriptState) waitFor(ts *testscript.TestScript, args []string) error {
	_, err := waitFor(ts.MkAbs(args[0]), args[1])
	return err
}

func (s *scriptState) get(_ *testscript.TestScript, args []string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: waitLimit}
	request, err := http.NewRequest(http.MethodGet, "http://"+s.process.addr+args[0], nil)
	if err != nil {
		return err
	}
	for _, field := range args[3:] {
		name, value, _ := strings.Cut(field, ":")
		request.Header.Set(name, value)
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if strconv.Itoa(answer.StatusCode) != args[1] || !regexp.MustCompile(args[2]).Match(body) {
		return fmt.Errorf("the answer is %d %q", answer.StatusCode, body)
	}
	return nil
}

func (s *scriptState) open(_ *testscript.TestScript, args []string) error {
	header, path, rest := http.Header{}, "/", args[1:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], "/") {
		path, rest = rest[0], rest[1:]
	}
	for _, h := range rest {
		name, value, _ := strings.Cut(h, ":")
		header.Add(name, value)
	}
	p, err := wstest.Dial("ws://"+s.process.addr+path, wstest.DialOptions{Header: header, Timeout: waitLimit})
	if err != nil {
		return err
	}
	if former := s.peers[args[0]]; former != nil {
		former.Close()
	}
	s.peers[args[0]] = p
	return nil
}

// text returns the text from the arguments of send and recv.
func text(args []string) (string, error) {
	times := 1
	if len(args) > 1 {
		var err error
		if times, err = strconv.Atoi(args[1]); err != nil {
			return "", err
		}
	}
	one, err := strconv.Unquote(`"` + args[0] + `"`)
	return strings.Repeat(one, times), err
}

func (s *scriptState) send(_ *testscript.TestScript, args []string) error {
	what, err := text(args[1:])
	if err != nil {
		return err
	}
	return s.peers[args[0]].Send(wstest.TextFrame(what))
}

// begun waits until the server has begun to send to the peer. The peer must not receive
// anything later.
func (s *scriptState) begun(_ *testscript.TestScript, args []string) error {
	conn := s.peers[args[0]].NetConn()
	if err := conn.SetReadDeadline(time.Now().Add(waitLimit)); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	return err
}

func (s *scriptState) recv(_ *testscript.TestScript, args []string) error {
	want, err := text(args[1:])
	if err != nil {
		return err
	}
	opcode, got, err := s.peers[args[0]].RecvMessage()
	if err == nil && (opcode != wstest.Text || string(got) != want) {
		err = fmt.Errorf("received opcode %d and %q, want the text %q", opcode, got, want)
	}
	return err
}

func (s *scriptState) closed(ts *testscript.TestScript, args []string) error {
	p := s.peers[args[0]]
	code, reason, err := p.Await(waitLimit)
	if err != nil {
		return err
	}
	ts.Logf("%d %q", code, reason)
	if strconv.Itoa(int(code)) != args[1] {
		return fmt.Errorf("the close code is %d %q, want %s", code, reason, args[1])
	}
	if err := p.Send(wstest.CloseFrame(code, "")); err != nil {
		return err
	}
	end, err := p.End(waitLimit)
	p.Close()
	if err == nil && !end.FIN {
		err = fmt.Errorf("got no FIN: %v", end)
	}
	return err
}

// waitFor waits until the file matches the pattern, and returns the match.
func waitFor(file, pattern string) ([]string, error) {
	re, err := regexp.Compile("(?m)" + pattern)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(waitLimit); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if match := re.FindStringSubmatch(string(text)); match != nil {
			return match, nil
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("nothing in %s matches %s:\n%s", file, pattern, text)
		}
	}
}
