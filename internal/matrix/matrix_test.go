package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/wsecho/fault"
	"example.com/wsecho/internal/testfull"
)

func TestMain(m *testing.M) {
	testfull.Parallel(maxParallel, maxParallel) // of processes, which the race detector does not slow down
	os.Exit(m.Run())
}

// TestMatrix runs wsecho probe for each cell of the matrix.
func TestMatrix(t *testing.T) {
	l := &testbed{root: "../..", dir: t.TempDir()}
	if err := l.build(); err != nil {
		t.Fatal(err)
	}
	wsecho, err := l.start(direct, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wsecho.stop)
	t.Run("exit codes", func(t *testing.T) {
		t.Parallel()
		l.exitCodes(t, wsecho.addr)
	})
	// A slow row takes 8 s. So these begin first, and a default run has them in one column.
	isSlow := func(r row) bool { return strings.Contains(r.fault, "=slow:") }
	others := slices.DeleteFunc(slices.Clone(rows), isSlow)
	slow := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !isSlow(r) })
	for c := range columns {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			server := wsecho
			if c != direct {
				var err error
				if server, err = l.start(c, wsecho); errors.Is(err, errMissing) {
					testfull.Missing(t, "%v", err)
				}
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(server.stop)
			}
			for _, r := range slices.Concat(slow, others) {
				if r.unsupported[c] != "" || (r.long || c != direct && isSlow(r)) && !testfull.Enabled() {
					continue // the page has the reason; long and slow rows need the full tests
				}
				t.Run(strings.TrimSpace(r.fault+" "+r.flags), func(t *testing.T) {
					t.Parallel()
					if err := r.run(t.Context(), l.wsecho, c, server.addr); err != nil {
						t.Errorf("%v %s", err, server.problem())
					}
				})
			}
		})
	}
}

// exitCodes checks the exit codes that no fault causes.
func (l *testbed) exitCodes(t *testing.T, addr string) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for url, want := range map[string]int{
		"ws://" + silent.Addr().String(): 1, // interrupted
		"http://" + addr:                 2,
		"ws://127.0.0.1:1":               3,
		"wss://" + addr:                  4,
	} {
		cmd := exec.CommandContext(t.Context(), l.wsecho, "probe", "--timeout=20s", url)
		cmd.Env = environment()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if want == 1 {
			c, err := silent.Accept() // it has a handler of signals by now
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
		_ = cmd.Wait() // an error is the exit code
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d", url, got, want)
		}
	}
}

// TestRows checks that each fault has a row, in each of its forms.
func TestRows(t *testing.T) {
	forms := map[string][]string{
		"close": {"=1000", "=1001", "=1011", "=3000", "=4001"}, "reason": {"="}, "drop": {"=fin", "=rst"}, "truncate": {"=1"}, "garbage": {"=1"}, "utf8": {"=bad"},
		"after": {`=\d+(&|$)`, `=\d+ms`}, "delay": {"="}, "jitter": {"="}, "pong": {"=off", "=other", `=\d`, "=late:"},
		"read": {"=stall", "=slow:"}, "write": {"=slow:"}, "fragment": {"="}, "mask": {"=1"}, "status": {"=301", "=403", "=503"}, "hold": {"="}, "accept": {"=wrong"},
		"hello": {"=1", "=all"}, "ping": {"="}, "send": {`=\d+$`, `=\d+&every`}, "every": {"="},
	}
	for _, p := range fault.Parameters() {
		if len(forms[p.Name]) == 0 {
			t.Errorf("the fault %s has no row", p.Name)
		}
		for _, form := range forms[p.Name] {
			pattern := regexp.MustCompile(`(^|[&?])` + p.Name + form)
			if !slices.ContainsFunc(rows, func(r row) bool { return pattern.MatchString(r.fault) }) {
				t.Errorf("no row matches %v", pattern)
			}
		}
	}
	for _, path := range []string{"/close/", "/delay/", "/status/"} {
		if !slices.ContainsFunc(rows, func(r row) bool { return strings.HasPrefix(r.fault, path) }) {
			t.Errorf("no row has the path %s", path)
		}
	}
}

// TestDemands checks that no row passes without its fault: each demands an effect.
func TestDemands(t *testing.T) {
	healthy := good.with(func(o *outcome) { o.frame = 40 }) // about the length of a message of the probe
	for _, r := range rows {
		for c := range columns {
			want, race := r.expected(c)
			if r.fault != "" && r.unsupported[c] == "" && (healthy.meets(want) || healthy.meets(race)) {
				t.Errorf("%v, %s %s: passes without the fault", c, r.fault, r.flags)
			}
		}
	}
}

// TestPage compares the matrix in docs/liveness.md with the table.
func TestPage(t *testing.T) {
	_, text, begin, end, err := (&testbed{root: "../.."}).page()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(text[begin:end]); got != strings.TrimSpace(matrix()) {
		t.Error("the matrix differs from the table; write it with: go run ./internal/matrix -write")
	}
}
