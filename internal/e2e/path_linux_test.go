package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/internal/hostile"
	"example.com/wsecho/wstest"
)

// newPath creates a path until the end of the test, or skips the test.
func newPath(t *testing.T) *hostile.Path {
	t.Helper()
	path, err := hostile.NewPath()
	if err != nil {
		t.Skipf("SKIPPED: a network namespace needs root, ip and tc: %v", err)
	}
	t.Cleanup(path.Close)
	return path
}

// startNear starts a server at the near end of a path, and a client at the far end.
func startNear(t *testing.T, path *hostile.Path, args ...string) (p *process, peer *wstest.Peer) {
	t.Helper()
	dir := t.TempDir()
	var err error
	path.Near(func() { p, err = start("wsecho", dir, nil, append(args, "--addr="+hostile.NearAddr+":0")...) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	path.Far(func() { peer, err = wstest.Dial(p.url(), wstest.DialOptions{Timeout: waitLimit}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.RST() })
	return p, peer
}

// TestSlowLink sends a message of the read limit over a slow link. The transfer in each
// direction exceeds the timeouts, and pings wait behind the message.
func TestSlowLink(t *testing.T) {
	t.Parallel()
	const size = 160 << 10 // 5 s at 256 kbit/s
	path := newPath(t)
	if err := path.Slow(256); err != nil {
		t.Fatal(err)
	}
	p, peer := startNear(t, path, "--ping-interval=1s", "--ping-timeout=500ms", "--max-missed=2", "--write-timeout=4s", fmt.Sprint("--read-limit=", size))
	text := strings.Repeat("x", size)
	began := time.Now()
	got := make(chan string, 1)
	go func() {
		// A good client reads while it writes.
		message := ""
		end, err := peer.Answer(t.Context(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
			if f.Opcode <= wstest.Binary {
				if message += string(f.Payload); f.Fin {
					got <- message
				}
			}
		}})
		t.Logf("the peer received %v, %v", end, err)
		close(got)
	}()
	if err := peer.Send(wstest.TextFrame(text)); err != nil {
		t.Fatal(err)
	}
	if message := <-got; message != text {
		why, err := waitFor(p.log, "msg=ended .*")
		t.Fatalf("got %d bytes back, of %d: %v, %v", len(message), size, why, err)
	}
	if took := time.Since(began); took < 8*time.Second {
		t.Errorf("the echo took %v: the link was not slow", took)
	}
	if err := peer.Send(wstest.CloseFrame(1000, "")); err != nil {
		t.Error(err)
	}
	if _, err := waitFor(p.log, "msg=ended kind=normal "); err != nil {
		t.Error(err)
	}
	<-got
	p.stop(t)
}
