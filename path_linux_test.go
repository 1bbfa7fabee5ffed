package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/internal/hostile"
	"example.com/wsecho/wstest"
)

// The heartbeat of the tests here, and within what it finds out: see the README,
// Is it alive?
const (
	beat      = "--ping-interval=400ms"
	pongs     = "--ping-timeout=200ms"
	foundOut  = 3*400*time.Millisecond + 200*time.Millisecond
	busyDelay = 5 * time.Second // what a busy machine may add
)

// newPath makes one for the rest of the test, or skips the test.
func newPath(t *testing.T) *hostile.Path {
	t.Helper()
	path, err := hostile.NewPath()
	if err != nil {
		t.Skipf("SKIPPED, no path was cut or slowed: a network namespace takes root, ip and tc: %v", err)
	}
	t.Cleanup(path.Close)
	return path
}

// startNear starts a server at the near end of a path, and a client at the far
// one.
func startNear(t *testing.T, path *hostile.Path, args ...string) (p *process, peer *wstest.Peer) {
	t.Helper()
	dir := t.TempDir()
	var err error
	path.Near(func() { p, err = start("wsecho", dir, nil, append(args, "--addr="+hostile.NearAddr+":0")...) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	path.Far(func() { peer, err = wstest.Dial(p.url(), wstest.DialOptions{Timeout: patience}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.RST() })
	return p, peer
}

func files(t *testing.T, p *process) int {
	t.Helper()
	use, err := hostile.UseOf(p.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return use.Files
}

// foundGone waits for the line of a peer that has fallen silent, and for its
// descriptor to be gone.
func foundGone(t *testing.T, p *process, base int) {
	t.Helper()
	match, err := waitFor(p.log, `msg=ended kind="no pong" by=us .* silent=(\S+)`)
	if err != nil {
		t.Fatal(err)
	}
	if silent, err := time.ParseDuration(match[1]); err != nil || silent > foundOut+busyDelay {
		t.Errorf("found out after %v, %v, want at most %v", silent, err, foundOut)
	}
	for start := time.Now(); files(t, p) > base; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("%d descriptors are open, of %d before", files(t, p), base)
		}
	}
}

// TestHalfOpen cuts the path to a good client: nobody says goodbye.
func TestHalfOpen(t *testing.T) {
	path := newPath(t)
	p, peer := startNear(t, path, beat, pongs, "--max-missed=2")
	base := files(t, p) - 1
	answering := make(chan struct{})
	go func() {
		defer close(answering)
		_, _ = peer.Answer(t.Context(), wstest.AnswerOptions{})
	}()
	if err := path.Cut(); err != nil {
		t.Fatal(err)
	}
	foundGone(t, p, base)
	peer.RST()
	<-answering
	p.stop(t)
}

// TestFrozenPeer stops the process of a good client, whose kernel goes on
// acknowledging. When it is woken it finds itself alone.
func TestFrozenPeer(t *testing.T) {
	p := startFor(t, "wsecho", beat, pongs, "--max-missed=2")
	base := files(t, p)
	peer := exec.Command("answer", p.url())
	out, err := peer.StdoutPipe()
	if err == nil {
		err = peer.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	said := make([]byte, len("connected\n"))
	_, err = io.ReadFull(out, said)
	go func() {
		_, _ = io.Copy(io.Discard, out)
		ended <- peer.Wait()
	}()
	defer peer.Process.Kill()
	if err != nil {
		t.Fatal(err)
	}
	if err := peer.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	foundGone(t, p, base)
	if err := peer.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the peer: %v", err)
		}
	case <-time.After(patience):
		t.Error("the peer does not notice that it is alone")
	}
	p.stop(t)
}

// TestSlowLink sends a message of the read limit over a link on which it takes
// longer than the timeouts, each way, and pings wait behind it.
func TestSlowLink(t *testing.T) {
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
		// What a good client does, one that reads on while it writes.
		message := ""
		end, err := peer.Answer(t.Context(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
			if f.Opcode <= wstest.Binary {
				if message += string(f.Payload); f.Fin {
					got <- message
				}
			}
		}})
		t.Logf("the peer's end: %v, %v", end, err)
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
		t.Errorf("it took %v: the link was not slow", took)
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

// TestNoDescriptors takes all descriptors that the process has. It goes on with
// those it serves, says so once, and lets others in when some have left.
func TestNoDescriptors(t *testing.T) {
	const limit = 64
	program := wrapped(t, "wsecho", fmt.Sprint("ulimit -n ", limit, " || exit 1; exec"))
	p := startFor(t, program, "--max-conns=1000")
	var peers []*wstest.Peer
	defer func() {
		for _, peer := range peers {
			peer.Close()
		}
	}()
	for len(peers) < limit {
		peer, err := wstest.Dial(p.url(), wstest.DialOptions{Timeout: time.Second})
		if err != nil {
			if _, err := waitFor(p.log, `level=WARN msg="cannot accept connections" cause=".*too many open files"`); err != nil {
				t.Fatal(err)
			}
			break
		}
		peers = append(peers, peer)
	}
	if n := len(peers); n < limit/2 || n == limit {
		t.Fatalf("%d were let in", n)
	}
	hello := func(peer *wstest.Peer) {
		t.Helper()
		peer.Timeout = patience
		err := peer.Send(wstest.TextFrame("hello"))
		if err == nil {
			_, _, err = peer.RecvMessage()
		}
		if err != nil {
			t.Error(err)
		}
	}
	for _, peer := range peers {
		hello(peer)
	}
	for _, peer := range peers[limit/4:] {
		peer.Close()
	}
	peers = peers[:limit/4]
	began := time.Now()
	peer, err := wstest.Dial(p.url(), wstest.DialOptions{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("measured: the next was let in %v after some had left", time.Since(began))
	peers = append(peers, peer)
	for _, peer := range peers {
		hello(peer)
	}
	if _, err := waitFor(p.log, `level=WARN msg="accepting connections again" `); err != nil {
		t.Error(err)
	}
	log, err := os.ReadFile(p.log)
	if n := len(regexp.MustCompile("level=WARN").FindAll(log, -1)); err != nil || n != 2 {
		t.Errorf("%d warnings in the log, want two: %v\n%s", n, err, log)
	}
	for _, peer := range peers {
		peer.Close()
	}
	p.stop(t)
}
