package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build builds the command in a temporary directory and returns its path.
func build(t testing.TB, args ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "wsecho")
	args = append(append([]string{"build", "-o", program}, args...), "example.com/wsecho")
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// TestRelease checks that a release build sets the version.
func TestRelease(t *testing.T) {
	t.Parallel()
	program := build(t, "-pgo=off", "-ldflags=-X main.release=v1.2.3")
	out, err := exec.CommandContext(t.Context(), program, "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "wsecho v1.2.3 (go") {
		t.Errorf("got %q, %v, want the version v1.2.3", out, err)
	}
}
