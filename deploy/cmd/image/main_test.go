package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

// TestMain runs the command if the test binary is called with a variable.
func TestMain(m *testing.M) {
	if os.Getenv("WSECHO_TEST_IMAGE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestCommand checks the output and the exit codes of the command.
func TestCommand(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		args   []string
		env    string
		code   int
		output string
	}{
		{"good", []string{"-root=../../..", "-platforms=linux/" + runtime.GOARCH, "-version=v1"}, "SOURCE_DATE_EPOCH=1", 0, `(?m)^\S+/out:wsecho sha256:[0-9a-f]{64}$`},
		{"argument", []string{"out"}, "", 2, `^image: error: "out" is not a flag`},
		{"platform", []string{"-platforms=arm64"}, "", 2, `^image: error: -platforms: "arm64" is not a platform, such as linux/amd64`},
		{"time", nil, "SOURCE_DATE_EPOCH=today", 2, `^image: error: SOURCE_DATE_EPOCH: "today" is not a number`},
		{"no Dockerfile", []string{"-root=."}, "", 1, `^image: error: building the image for linux/amd64: open Dockerfile: no such file`},
		{"full folder", []string{"-out=" + full}, "", 1, `^image: error: \S+ is not empty; remove it`},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"-out=" + filepath.Join(t.TempDir(), "out")}, test.args...)
			command := exec.CommandContext(t.Context(), os.Args[0], args...)
			command.Env = append(os.Environ(), "WSECHO_TEST_IMAGE=1", "GOFLAGS="+os.Getenv("GOFLAGS")+" -pgo=off", test.env)
			var out bytes.Buffer
			command.Stdout, command.Stderr = &out, &out
			err := command.Run()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := command.ProcessState.ExitCode(); code != test.code || !regexp.MustCompile(test.output).Match(out.Bytes()) {
				t.Errorf("exit code %d, want %d, and output that matches %s:\n%s", code, test.code, test.output, &out)
			}
		})
	}
}
