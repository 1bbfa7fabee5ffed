package e2e

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/internal/command"
	"example.com/wsecho/internal/testfull"
)

// python is the interpreter of Debian's packages.
const python = "/usr/bin/python3"

func client(args ...string) *exec.Cmd {
	return exec.Command(python, append([]string{"testdata/python/client.py"}, args...)...)
}

// TestPython tests wsecho with the websockets library of Python.
func TestPython(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command(python, "-c", "import websockets; print(websockets.__version__)").CombinedOutput(); err != nil {
		testfull.Missing(t, "%s has no module websockets (apt-get install python3-websockets): %v %s", python, err, out)
	} else {
		t.Logf("websockets %s", bytes.TrimSpace(out))
	}
	for _, test := range []struct {
		scenario string
		flags    []string
		want     string // in the server's log
	}{
		{"echo", nil, "kind=normal by=peer gone=false code=1000 .* messages_in=22 messages_out=22"},
		{"large", nil, "bytes_in=29777216 bytes_out=29777216"},
		{"compressed", []string{"--compression=no-context-takeover"}, "messages_out=22"},
		{"compressed", []string{"--compression=context-takeover"}, "messages_out=22"},
		{"windows", []string{"--compression=no-context-takeover"}, "messages_out=40"},
		{"windows", []string{"--compression=context-takeover"}, "messages_out=40"},
		{"large", []string{"--compression=context-takeover"}, "messages_out=2"},
		{"pipelined", nil, "messages_in=1000 messages_out=1000"},
		{"fragmented", nil, "messages_in=2 messages_out=2"},
		{"pinged", []string{"--ping-interval=100ms", "--ping-timeout=100ms", "--max-missed=100"}, "messages_out=1 .* rtt_seconds="},
		{"closing", nil, `kind="peer code" by=peer gone=false code=4999`},
		{"refused", []string{"--read-limit=1MiB"}, "sent=1002"},
	} {
		t.Run(strings.Join(append([]string{test.scenario}, test.flags...), " "), func(t *testing.T) {
			t.Parallel()
			p := startFor(t, "wsecho", test.flags...)
			out, err := client(test.scenario, p.url()).CombinedOutput()
			t.Logf("%s", bytes.TrimSpace(out))
			if err != nil {
				t.Error(err)
			}
			p.stop(t)
			p.logged(t, "msg=ended .*"+test.want)
		})
	}
	t.Run("keepalive", func(t *testing.T) {
		t.Parallel()
		p := startFor(t, "wsecho")
		var err error
		for _, timeout := range []string{"0.2", "1", "5"} { // seconds; a busy machine may need more than the first
			var out []byte
			out, err = client("keepalive", p.url(), timeout).CombinedOutput()
			t.Logf("%s", bytes.TrimSpace(out))
			if err == nil {
				break
			}
		}
		if err != nil {
			t.Error(err)
		}
		p.stop(t)
		p.logged(t, "msg=ended .* messages_in=1 messages_out=1")
	})
	t.Run("drained", func(t *testing.T) {
		t.Parallel()
		p := startFor(t, "wsecho")
		client := client("drained", p.url())
		client.Stderr = os.Stderr
		out, err := client.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "ready" {
			t.Errorf("%q and not ready: %v", lines.Text(), lines.Err())
		}
		time.Sleep(100 * time.Millisecond)
		p.stop(t)
		for lines.Scan() {
			t.Log(lines.Text())
		}
		if err := client.Wait(); err != nil {
			t.Error(err)
		}
		p.logged(t, "msg=drained acknowledged=2 unacknowledged=0 unwritable=0")
	})
}

// pythonServer starts an echo server of Python's library and returns its URL.
func pythonServer(t *testing.T) string {
	t.Helper()
	if out, err := exec.Command(python, "-c", "import websockets").CombinedOutput(); err != nil {
		testfull.Missing(t, "%s has no module websockets (apt-get install python3-websockets): %v %s", python, err, out)
	}
	server := exec.Command(python, "testdata/python/server.py")
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the server did not print its URL: %v", lines.Err())
	}
	return lines.Text()
}

// TestBenchPython measures a server of the websockets library of Python.
func TestBenchPython(t *testing.T) {
	t.Parallel()
	url := pythonServer(t)
	for _, flags := range [][]string{
		{"--in-flight=16", "--size=5"},
		{"--binary", "--size=200KiB", "--in-flight=4"},
		{"--rate=200"},
		{"--compression", "--size=3000", "--in-flight=4"},
		{"--rate=4", "--duration=1s"}, // the server sends pings meanwhile
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			var stdout, stderr strings.Builder
			args := append([]string{"bench", "--rounds=1", "--warmup=50ms", "--duration=200ms", "--timeout=1m", "--connections=3"}, flags...)
			if code := command.Run(t.Context(), "", append(args, url), &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "every byte correct") {
				t.Errorf("exit code %d: %s%s", code, &stdout, &stderr)
			}
		})
	}
}

// TestCheckPython checks a server of the websockets library of Python.
func TestCheckPython(t *testing.T) {
	t.Parallel()
	url := pythonServer(t)
	for _, flags := range [][]string{{}, {"--pong"}} {
		var stdout, stderr strings.Builder
		args := append([]string{"check", "--timeout=1m"}, flags...)
		if code := command.Run(t.Context(), "", append(args, url), &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "works") {
			t.Errorf("exit code %d: %s%s", code, &stdout, &stderr)
		}
	}
}
