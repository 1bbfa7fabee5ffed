package peers_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/bench/peers"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// TestMain makes the test binary also run as the servers.
func TestMain(m *testing.M) {
	flag.Parse()
	command := map[string]func() error{
		"serve":     func() error { return peers.Child(flag.Args()[1:], os.Stdin, os.Stdout) },
		"inprocess": func() error { return inProcess(flag.Arg(1)) },
	}[flag.Arg(0)]
	if command != nil {
		if err := command(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	testfull.Parallel(4, 2)
	// A process under the race detector waits for a second before it ends.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	var err error
	if scratch, err = os.MkdirTemp("", "peers"); err != nil {
		panic(err)
	}
	code := wstest.VerifyNoLeaks(m)
	if err := os.RemoveAll(scratch); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// inProcess runs a server of InProcess until standard input ends. It then closes the
// listener and waits for the server to return.
func inProcess(name string) error {
	serve, ok := peers.InProcess(name)
	if !ok {
		return fmt.Errorf("there is no server %q", name)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- serve(l, peers.Options{}) }()
	fmt.Println("listening", l.Addr())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	l.Close()
	select {
	case <-served:
		return nil
	case <-time.After(3 * time.Second):
		return errors.New("the server does not return after its listener was closed")
	}
}

// scratch is a folder for built programs.
var scratch string

var wsecho = sync.OnceValues(func() (string, error) { return build("wsecho", filepath.Join("..", ".."), ".") })

var nbio = sync.OnceValues(func() (string, error) { return build("nbio", ".", "./nbio") })

func build(name, dir, what string) (string, error) {
	binary := filepath.Join(scratch, name)
	cmd := exec.Command("go", "build", "-o", binary, what)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return binary, nil
}

// tools returns the programs that start peers.
func tools(t *testing.T) peers.Tools {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := wsecho()
	if err != nil {
		t.Fatal(err)
	}
	return peers.Tools{Bench: self, Wsecho: binary}
}

// each runs a test with each peer. A missing peer is like a missing tool: see
// testfull.Missing. nbio may be missing.
func each(t *testing.T, test func(*testing.T, peers.Peer)) {
	if binary, err := nbio(); err != nil {
		t.Log(err) // nbio is missing
	} else {
		t.Setenv("WSECHO_BENCH_NBIO", binary)
	}
	for _, p := range peers.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			if err := p.Missing(); err != nil {
				if p.IsNbio() {
					t.Skipf("NOT TESTED HERE: %v", err)
				}
				testfull.Missing(t, "%v", err)
			}
			test(t, p)
		})
	}
}
