//go:build unix

package command

import (
	"bytes"
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
