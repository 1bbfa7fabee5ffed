package peers

import (
	"os"
	"strings"
	"testing"
)

// TestMissing: the error names a missing program and the command that installs it.
func TestMissing(t *testing.T) {
	node, _ := Find("node-ws")
	t.Run("no node", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if err := node.Missing(); err == nil || err.Error() != "there is no node in PATH" {
			t.Error(err)
		}
		if v := node.Version(); v != "(unknown)" {
			t.Errorf("and yet it has the version %q", v)
		}
		if p, err := node.Start(t.Context(), Tools{}, Options{}); err == nil {
			p.Stop()
			t.Error("and yet it starts")
		}
	})
	t.Run("no ws", func(t *testing.T) {
		bin := t.TempDir() // the test does not need node
		if err := os.WriteFile(bin+"/node", []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", bin)
		t.Setenv("WSECHO_BENCH_NODE", t.TempDir())
		if err := node.Missing(); err == nil || !strings.Contains(err.Error(), "run npm ci in bench/peers/node") {
			t.Error(err)
		}
	})
	t.Run("no nbio", func(t *testing.T) {
		nbio, _ := Find("nbio")
		t.Setenv("WSECHO_BENCH_NBIO", t.TempDir()+"/nbio")
		if err := nbio.Missing(); err == nil || !strings.Contains(err.Error(), "run go build -o bin/nbio ./peers/nbio") {
			t.Error(err)
		}
		if v := nbio.Version(); v != "(unknown)" {
			t.Errorf("and yet it has the version %q", v)
		}
	})
}

// TestLock: npm ci installs pinned packages from any registry.
func TestLock(t *testing.T) {
	b, err := os.ReadFile("node/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if lock := string(b); !strings.Contains(lock, `"integrity": "sha512-`) || strings.Contains(lock, "://") {
		t.Errorf("run npm install --package-lock-only, and remove the fields that are URLs:\n%s", lock)
	}
}

// TestMissingBun: without the package the peer names the command that installs it.
func TestMissingBun(t *testing.T) {
	bun, _ := Find("bun")
	t.Setenv("WSECHO_BENCH_NODE", t.TempDir())
	if err := bun.Missing(); err == nil || !strings.Contains(err.Error(), "run npm ci in bench/peers/node") {
		t.Errorf("got %v, want the command", err)
	}
	if v := bun.Version(); v != "(unknown)" {
		t.Errorf("got version %q", v)
	}
}
