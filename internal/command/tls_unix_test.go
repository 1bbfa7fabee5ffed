//go:build unix

package command

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTLSPipe: a flag that names a pipe is refused. The server does not wait for another
// process to open the pipe.
func TestTLSPipe(t *testing.T) {
	pipe := t.TempDir() + "/pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("this system has no named pipes: ", err)
	}
	for _, args := range [][]string{
		{"--tls-self-signed", "--tls-self-signed-out=" + pipe},
		{"--tls-self-signed", "--tls-client-ca=" + pipe},
		{"--tls-cert=" + pipe, "--tls-key=" + pipe},
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			var stdout, stderr bytes.Buffer
			args := append(args, "--addr=127.0.0.1:0", "--admin-addr=off")
			want := pipe + " is not a regular file"
			if code := Run(t.Context(), "", args, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), want) {
				t.Errorf("%q: got exit code %d and %s, want 2 and %s", args, code, &stderr, want)
			}
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%q: the server waits for the pipe", args)
		}
	}
	// The pipe may replace a file at any moment, so Open itself must not wait.
	if file, err := openRegular(pipe); err == nil {
		file.Close()
		t.Error("openRegular has opened a pipe")
	}
}

// TestTLSInheritedUnix: the flags of TLS are refused if systemd has passed only unix sockets,
// which have no TLS.
func TestTLSInheritedUnix(t *testing.T) {
	l, err := net.Listen("unix", socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// The shell's process ID is also that of the command that replaces it.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh", os.Args[0])
	cmd.Env = append(os.Environ(), "WSECHO_TEST_INHERITED=1")
	cmd.ExtraFiles = []*os.File{file}
	b, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(b, []byte("code 2: wsecho: error: "+errOnlyUnix.Error())) {
		t.Errorf("got %v and %s", err, b)
	}
}

// init makes this binary the process that TestTLSInheritedUnix starts, if the variable is
// set.
func init() {
	if os.Getenv("WSECHO_TEST_INHERITED") == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := Run(ctx, "", []string{"--addr=systemd", "--tls-self-signed", "--admin-addr=off"}, &stdout, &stderr)
	fmt.Printf("code %d: %s", code, &stderr)
	os.Exit(0)
}
