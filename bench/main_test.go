package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/bench/peers"
	"example.com/wsecho/bench/result"
)

// TestMain makes the test binary also run as the command.
func TestMain(m *testing.M) {
	if os.Getenv("BENCH_TEST_MAIN") != "" || len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// bench runs the command in the folder dir.
func bench(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "BENCH_TEST_MAIN=1")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// TestRunAndReport measures two servers, and writes pages of the results.
func TestRunAndReport(t *testing.T) {
	dir := t.TempDir()
	out, stderr, code := bench(t, dir, "run", "--peers=gorilla,embedded", "--cells=echo-125B-1x16,churn",
		"--rounds=2", "--duration=100ms", "--out=found.json", "--wsecho=unused")
	if code != 0 || !strings.Contains(out, "gorilla") || !strings.Contains(out, "found.json") {
		t.Fatalf("exit code %d\n%s\n%s", code, out, stderr)
	}
	before, err := os.ReadFile(filepath.Join(dir, "found.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := bench(t, dir, "run", "--peers=gorilla", "--cells=echo-125B-1x16", "--out=found.json"); code != 1 { // this folder has no module to build
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "found.json")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a failed run has changed the results of another run: %v", err)
	}
	if out, stderr, code = bench(t, dir, "report", "found.json", "--out=pages"); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, out, stderr)
	} else if want := "wrote the report to pages/README.md and, as one page, to pages/report.html\n"; out != want {
		t.Errorf("report prints %q, want %q", out, want)
	}
	for _, name := range []string{"README.md", "report.html", "results.json"} {
		b, err := os.ReadFile(filepath.Join(dir, "pages", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Contains(b, []byte("embedded")) {
			t.Errorf("%s does not contain a measured server", name)
		}
	}
	if out, stderr, code = bench(t, dir, "report", "found.json", "--out=found.json/pages"); code != 2 || !strings.Contains(stderr, "--out: ") {
		t.Errorf("a folder that report cannot create: exit code %d\n%s\n%s", code, out, stderr)
	}
	if out, stderr, code = bench(t, dir, "report", "pages/results.json", "--out=pages2"); code != 0 {
		t.Errorf("the copy of the results: exit code %d\n%s\n%s", code, out, stderr)
	}
}

// TestInterrupted interrupts a run before its first result. The run prints that, and
// leaves the results of an earlier run unchanged.
func TestInterrupted(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "found.json")
	if err := os.WriteFile(name, []byte("other results"), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "run", "--peers=gorilla", "--cells=idle", "--wsecho=unused", "--out="+name)
	cmd.Env = append(os.Environ(), "BENCH_TEST_MAIN=1")
	stderr := make(chan string, 1)
	r, w := io.Pipe()
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // run prints its first step
		b := make([]byte, 1)
		_, _ = io.ReadFull(r, b)
		_ = cmd.Process.Signal(os.Interrupt)
		rest, _ := io.ReadAll(r)
		stderr <- string(b) + string(rest)
	}()
	err = cmd.Wait()
	w.Close()
	if text := <-stderr; cmd.ProcessState.ExitCode() != 1 || !strings.Contains(text, "interrupted before the first result") {
		t.Errorf("%v: %s", err, text)
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "other results" {
		t.Errorf("the other results are %q: %v", b, err)
	}
	if left, err := os.ReadDir(filepath.Dir(name)); err != nil || len(left) != 1 {
		t.Errorf("the folder contains %v: %v", left, err)
	}
}

// TestServe starts a server with several options, as run does.
func TestServe(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	gorilla, _ := peers.Find("gorilla")
	for _, o := range []peers.Options{{}, {Heartbeat: -1}, {TLS: true, Compression: true, Heartbeat: time.Second}} {
		p, err := gorilla.Start(t.Context(), peers.Tools{Bench: self}, o)
		if err != nil {
			t.Errorf("%+v: %v", o, err)
			continue
		}
		p.Stop()
	}
}

func TestList(t *testing.T) {
	out, stderr, code := bench(t, t.TempDir(), "list")
	if code != 0 || !strings.Contains(out, "gorilla/websocket") || !strings.Contains(out, "echo-1MiB-16x16") || strings.Contains(out, "nbio is a separate program") {
		t.Errorf("exit code %d\n%s\n%s", code, out, stderr)
	}
}

// TestMistakes: a usage error prints a sentence and exits with 2.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "no.json"), []byte("no"), 0o666); err != nil {
		t.Fatal(err)
	}
	old, err := json.Marshal(result.Report{Version: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "old.json"), old, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "--help"},
		{[]string{"run", "--peers=unknown"}, `no server "unknown"`},
		{[]string{"run", "--cells=nothing"}, `no cell "nothing"`},
		{[]string{"run", "--peers=", "--rounds=0"}, "need a name"},
		{[]string{"run", "--peers=gws", "--cells="}, "need a name"},
		{[]string{"run", "--cells=,"}, `no cell ""`},
		{[]string{"run", "--cells=open-25"}, "add that workload"},
		{[]string{"run", "--peers=gws,gws"}, "gws is named twice"},
		{[]string{"run", "--wsecho=there/is/none"}, "--wsecho"},
		{[]string{"run", "--rounds=-1"}, "--rounds"},
		{[]string{"run", "--rounds=0"}, "--rounds"},
		{[]string{"run", "--duration=1ns"}, "--duration must be 10ms or more"},
		{[]string{"run", "--quick", "--smoke"}, "--smoke"},
		{[]string{"run", "--out=there/is/none"}, "--out"},
		{[]string{"run", "--out=."}, "--out: . is a folder"},
		{[]string{"report", "nothing.json"}, "nothing.json"},
		{[]string{"report", "no.json"}, "not a report"},
		{[]string{"report", "old.json"}, "version -1"},
		{[]string{"serve", "unknown"}, `no server "unknown"`},
		{[]string{"serve", "xnet", "--compression"}, "permessage-deflate"},
	} {
		if out, stderr, code := bench(t, dir, test.args...); code != 2 || !strings.Contains(stderr, test.want) {
			t.Errorf("%q: exit code %d, want 2 and %q\n%s\n%s", test.args, code, test.want, out, stderr)
		}
	}
}
