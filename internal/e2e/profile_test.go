package e2e

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"example.com/wsecho/internal/command"
)

// BenchmarkServing runs the server under load. It creates the profile with which the
// compiler builds the command (docs/adr/0013):
//
//	go test -run '^$' -bench Serving -benchtime 1x -cpuprofile default.pgo ./internal/e2e
//
// The client is another process and not in the profile.
func BenchmarkServing(b *testing.B) {
	wsecho, err := exec.LookPath("wsecho")
	if err != nil {
		b.Fatal(err)
	}
	log, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan int)
	go func() {
		ended <- command.Run(ctx, "", []string{"--addr=127.0.0.1:0", "--log-level=info"}, io.Discard, log)
	}()
	defer func() {
		stop()
		if code := <-ended; code != 0 {
			b.Errorf("the server ended with %d", code)
		}
	}()
	match, err := waitFor(log.Name(), `listening"?[ ,]"?addr"?[=:]"?([^" ]+)`)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, load := range [][]string{
			{"--size=5", "--in-flight=16"},
			{"--size=5"},
			{"--size=4KiB"},
			{"--size=4KiB", "--in-flight=16"},
			{"--size=256KiB", "--binary", "--connections=16"},
		} {
			client := exec.Command(wsecho, append([]string{"bench", "ws://" + match[1] + "/", "--rounds=1", "--duration=5s", "--quiet"}, load...)...)
			if out, err := client.CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
	}
}
