//go:build unix

package k6

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// waitLimit bounds each run of k6.
const waitLimit = 3 * time.Minute

// thresholdsFailed is the exit code of k6 if a threshold failed.
const thresholdsFailed = 99

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }

var program string // k6, set by the first test that needs it

// k6 runs k6 and returns its output and its exit code.
func k6(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	if program == "" {
		out, err := exec.CommandContext(t.Context(), "go", "tool", "-n", "k6").Output() // builds it
		if err != nil {
			t.Fatalf("go tool k6: %v", err)
		}
		program = strings.TrimSpace(string(out))
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "K6_NO_USAGE_REPORT=true")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("k6: %v, %v\n%s", err, ctx.Err(), out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// A summary is what k6 exports at the end of a run.
type summary struct {
	Metrics map[string]struct {
		Count, Value  float64
		Passes, Fails int
	}
	Root struct {
		Checks map[string]struct{ Passes, Fails int } `json:"checks"`
	} `json:"root_group"`
}

// load runs a short load against a server.
func load(t *testing.T, url string, args ...string) (s summary, output string, code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "summary.json")
	args = append([]string{"run", "--quiet", "--address=", "--summary-export=" + file, "-e", "VUS=5", "-e", "RAMP=500ms",
		"-e", "HOLD=2s", "-e", "MESSAGES=6", "-e", "PAUSE=20", "-e", "P99=60000", "-e", "TIMEOUT=60000", "-e", "URL=" + url}, args...)
	output, code = k6(t, append(args, "script.js")...)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; the exit code is %d\n%s", err, code, output)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s, output, code
}

// start starts a wsecho and returns its URL and a function that ends it as Kubernetes does.
func start(t *testing.T, args ...string) (url string, stop func()) {
	t.Helper()
	dir := t.TempDir()
	server := filepath.Join(dir, "wsecho")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-pgo=off", "-o", server, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(server, append([]string{"--addr=127.0.0.1:0", "--admin-addr=off"}, args...)...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error means that it has ended
		<-ended
	})
	found := regexp.MustCompile(`url=(ws://\S+)`)
	for end := time.Now().Add(waitLimit); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		if m := found.FindSubmatch(text); m != nil {
			return string(m[1]), func() {
				if err := cmd.Process.Signal(os.Interrupt); err != nil {
					t.Error(err)
				}
				err := <-ended
				ended <- err
				if err != nil {
					t.Error(err)
				}
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the server does not listen:\n%s", text)
		}
	}
}

// TestLoad runs the script against the server, which also sends pings.
func TestLoad(t *testing.T) {
	url, stop := start(t, "--ping-interval=200ms", "--ping-timeout=200ms", "--max-missed=100")
	s, output, code := load(t, url)
	if code != 0 || s.Metrics["checks"].Fails != 0 || s.Metrics["going_away"].Count != 0 {
		t.Errorf("exit code %d, want 0 and no failed check:\n%s", code, output)
	}
	if len(s.Root.Checks) != 4 {
		t.Errorf("got %d checks, want 4: %+v", len(s.Root.Checks), s.Root.Checks)
	}
	if n := s.Metrics["echoes"].Count; n < 30 || n != s.Metrics["ws_msgs_received"].Count {
		t.Errorf("got %v echoes and %v messages, want as many, and at least 30", n, s.Metrics["ws_msgs_received"].Count)
	}
	stop()
}

// TestRestart checks that connections which the server closes with 1001 are counted and
// are no failure.
func TestRestart(t *testing.T) {
	url, stop := start(t, "--max-age=300ms")
	s, output, code := load(t, url, "-e", "MESSAGES=1000")
	if code != 0 || s.Metrics["going_away"].Count == 0 {
		t.Errorf("exit code %d with %v connections that received 1001, want 0 and some:\n%s", code, s.Metrics["going_away"].Count, output)
	}
	stop()
}

// TestMisbehaving runs the script against servers that make one mistake. The script must
// find each, and k6 must fail.
func TestMisbehaving(t *testing.T) {
	for name, c := range map[string]struct {
		failed string // the check that fails
		handle func(p *wstest.Peer)
	}{
		"wrong byte": {"the echo has every byte", each(func(p *wstest.Peer, f wstest.Frame) []wstest.Frame {
			if len(f.Payload) > 0 {
				f.Payload[len(f.Payload)-1] ^= 1
			}
			return []wstest.Frame{f}
		})},
		"wrong type": {"the echo has every byte", each(func(p *wstest.Peer, f wstest.Frame) []wstest.Frame {
			return []wstest.Frame{wstest.BinaryFrame(f.Payload)}
		})},
		"truncated echo": {"the echo has every byte", each(func(p *wstest.Peer, f wstest.Frame) []wstest.Frame {
			f.Payload = f.Payload[:len(f.Payload)/2]
			return []wstest.Frame{f}
		})},
		"doubled echo": {"an echo was expected", each(func(p *wstest.Peer, f wstest.Frame) []wstest.Frame {
			return []wstest.Frame{f, f}
		})},
		"lost echo":        {"an echo arrives in time", each(func(*wstest.Peer, wstest.Frame) []wstest.Frame { return nil })},
		"no pong":          {"a pong arrives in time", answer(wstest.AnswerOptions{Echo: true, NoPong: true})},
		"wrong close code": {closeCheck, answer(wstest.AnswerOptions{Echo: true, Code: 1002})},
		"1006": {closeCheck, func(p *wstest.Peer) {
			_, _, _ = p.RecvMessage() // closes the connection without a close frame
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int64
			url := wstest.Serve(t, func(p *wstest.Peer) {
				connections.Add(1)
				p.Timeout = waitLimit
				c.handle(p)
			})
			s, output, code := load(t, url, "-e", "TIMEOUT=3000", "-e", "VUS=2", "-e", "HOLD=500ms", "-e", "SIZE=200")
			if code != thresholdsFailed {
				t.Errorf("the exit code is %d, want %d", code, thresholdsFailed)
			}
			if s.Root.Checks[c.failed].Fails == 0 {
				t.Errorf("the check %q did not fail: %+v", c.failed, s.Root.Checks)
			}
			if t.Failed() {
				t.Logf("%d connections\n%s", connections.Load(), output)
			}
		})
	}
}

const closeCheck = "the close code is 1000, or 1001 from the server"

func answer(o wstest.AnswerOptions) func(*wstest.Peer) {
	return func(p *wstest.Peer) { _, _ = p.Answer(context.Background(), o) }
}

// each returns a server that answers each data frame with the frames that f returns.
func each(f func(p *wstest.Peer, frame wstest.Frame) []wstest.Frame) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Each: func(frame wstest.Frame) {
			if frame.Opcode <= wstest.Binary {
				frame.Masked = false
				_ = p.Send(f(p, frame)...) // a client that has left is no failure
			}
		}})
	}
}

// TestNoServer checks that a run without a connection fails.
func TestNoServer(t *testing.T) {
	s, output, code := load(t, "ws://127.0.0.1:1/", "-e", "VUS=1", "-e", "HOLD=200ms")
	if code != thresholdsFailed || s.Root.Checks["the handshake succeeds"].Fails == 0 {
		t.Errorf("exit code %d, want %d and a failed check:\n%s", code, thresholdsFailed, output)
	}
}

// TestBadVariable checks that a wrong variable ends k6 before the load.
func TestBadVariable(t *testing.T) {
	output, code := k6(t, "run", "--quiet", "--address=", "-e", "VUS=many", "script.js")
	if code == 0 || !strings.Contains(output, "VUS=many is not a number") {
		t.Errorf("exit code %d, want another and a sentence:\n%s", code, output)
	}
}

// TestArchive makes an archive with the arguments of the TestRun, and runs it with them.
// The k6 operator does the same.
func TestArchive(t *testing.T) {
	text, err := os.ReadFile("testrun.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^  arguments: (.*)$`).FindSubmatch(text)
	if m == nil {
		t.Fatal("testrun.yaml has no arguments")
	}
	url, stop := start(t)
	arguments := string(m[1])
	for _, r := range [][2]string{{"ws://wsecho/", url}, {"VUS=2000", "VUS=5"}, {"RAMP=1m", "RAMP=500ms"}, {"HOLD=5m", "HOLD=2s"}, {"PAUSE=1000", "PAUSE=20"}} {
		if !strings.Contains(arguments, r[0]) {
			t.Fatalf("got the arguments %q, want %q in them", arguments, r[0])
		}
		arguments = strings.Replace(arguments, r[0], r[1], 1)
	}
	archive := filepath.Join(t.TempDir(), "archive.tar")
	args := strings.Fields(arguments)
	if output, code := k6(t, append(append([]string{"archive", "-O", archive}, args...), "script.js")...); code != 0 {
		t.Fatalf("k6 archive: exit code %d\n%s", code, output)
	}
	output, code := k6(t, append(append([]string{"run", "--quiet", "--address="}, args...), "-e", "P99=60000", "--execution-segment=0:1/4", "--execution-segment-sequence=0,1/4,1/2,3/4,1", archive)...)
	if code != 0 || !strings.Contains(output, "echoes") {
		t.Errorf("k6 run: exit code %d\n%s", code, output)
	}
	stop()
}
