//go:build unix

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// linesAhead is more lines than the command queues for a stopped reader.
const linesAhead = 1000

// TestStdoutUnread prints messages to a pipe without a reader. The pipe delays neither
// the peers nor the end of the process.
func TestStdoutUnread(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := startWith(w, "wsecho", t.TempDir(), nil, "--log-messages")
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	peer, err := wstest.Dial(p.url(), wstest.DialOptions{Timeout: waitLimit})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	text := strings.Repeat("x", 200)
	for range 3 * linesAhead {
		if err := peer.Send(wstest.TextFrame(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := peer.RecvMessage(); err != nil || string(got) != text {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	go func() { _ = answerClose(peer) }()
	p.stop(t)
}

// TestStderrUnread stops reading the log. The log does not delay the peers. When the
// reader resumes, the log has the number of dropped lines.
func TestStderrUnread(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("wsecho", "--addr=127.0.0.1:0", "--log-level=debug", "--log-format=json")
	cmd.Stderr = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	log := bufio.NewScanner(r)
	_ = r.SetReadDeadline(time.Now().Add(waitLimit))
	url := ""
	for url == "" && log.Scan() {
		var line struct{ Msg, URL string }
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		url = line.URL
	}
	began, there := time.Now(), 0
	for range linesAhead { // each connection logs two lines, and the pipe has room for 64 KiB
		peer, err := wstest.Dial(url, wstest.DialOptions{Timeout: waitLimit})
		if err != nil {
			t.Fatal(err)
		}
		if err := peer.Send(wstest.TextFrame("hello")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := peer.RecvMessage(); err != nil || string(got) != "hello" {
			t.Fatalf("got %q, %v", got, err)
		}
		peer.Close()
	}
	t.Logf("measured: %d connections took %v", linesAhead, time.Since(began))
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = r.SetReadDeadline(time.Now().Add(waitLimit))
	lost := 0
	for log.Scan() {
		var line struct {
			Msg   string
			Lines int
		}
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Errorf("%v: %s", err, log.Bytes())
		}
		if line.Lines > 0 {
			lost += line.Lines
		} else if line.Msg == "began" || line.Msg == "ended" {
			there++
		}
	}
	if err := log.Err(); err != nil {
		t.Error(err)
	}
	const others = 5 // lines about the server, such as the one for its stop, may be dropped
	if lost == 0 || lost+there < 2*linesAhead || lost+there > 2*linesAhead+others {
		t.Errorf("the log reports %d dropped lines and has %d lines, want a total of %d", lost, there, 2*linesAhead)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// defaultMemoryWait is the default of --memory-wait.
const defaultMemoryWait = 5 * time.Second

// TestBudgetPinned has slow readers of large echoes, which use the whole memory budget
// for large messages. The server still echoes small messages of other and new clients.
// It refuses a large message at once with 1013. It echoes the large message after the
// slow readers have left.
func TestBudgetPinned(t *testing.T) {
	p := startFor(t, "wsecho", "--memory-budget=3MiB", "--memory-wait=off")
	large := wstest.BinaryFrame(make([]byte, 1<<20))
	// ask sends a large message. It returns the close code of the refusal, or 0 for an
	// echo.
	ask := func() uint16 {
		peer, err := wstest.Dial(p.url(), wstest.DialOptions{Timeout: waitLimit})
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		go func() { _ = peer.Send(large) }()
		_, got, err := peer.RecvMessage()
		if refused := (*wstest.CloseError)(nil); errors.As(err, &refused) {
			return refused.Code
		}
		if err != nil || len(got) != len(large.Payload) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		return 0
	}
	var slow []*wstest.Peer
	var reading sync.WaitGroup
	stop := make(chan struct{})
	leave := sync.OnceFunc(func() {
		close(stop)
		for _, peer := range slow {
			_ = peer.RST()
		}
		reading.Wait()
	})
	defer leave()
	// pin adds a slow reader.
	pin := func() {
		if len(slow) == 40 {
			t.Fatal("the budget is not in use")
		}
		peer, err := wstest.Dial(p.url(), wstest.DialOptions{RcvBuf: 4096, Timeout: waitLimit})
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, peer)
		// A full kernel buffer keeps the echoes in the server.
		go func() { _ = peer.Send(large, large, large, large, large, large, large, large) }()
		reading.Go(func() {
			for b := make([]byte, 100); ; {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				if _, err := peer.NetConn().Read(b); err != nil {
					return
				}
			}
		})
	}
	for ask() != 1013 {
		pin()
	}
	old, err := wstest.Dial(p.url(), wstest.DialOptions{Timeout: waitLimit})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	small := wstest.BinaryFrame(make([]byte, 16<<10))
	var took []time.Duration
	for range 20 {
		fresh, err := wstest.Dial(p.url(), wstest.DialOptions{Timeout: waitLimit})
		if err != nil {
			t.Fatal(err)
		}
		for _, peer := range []*wstest.Peer{old, fresh} {
			if err := peer.Send(small); err != nil {
				t.Fatal(err)
			}
			if _, got, err := peer.RecvMessage(); err != nil || len(got) != len(small.Payload) {
				t.Fatalf("a small message: got %d bytes, %v", len(got), err)
			}
		}
		fresh.Close()
		began := time.Now()
		code := ask()
		for ; code == 0; code = ask() { // a slow reader has given up its part of the budget
			pin()
			began = time.Now()
		}
		if code != 1013 {
			t.Errorf("a large message: got %d, want 1013", code)
		}
		took = append(took, time.Since(began))
	}
	if slices.Sort(took); took[len(took)/2] > defaultMemoryWait/2 {
		t.Errorf("half of the refusals took %v or more", took[len(took)/2])
	}
	leave()
	for start := time.Now(); ask() != 0; {
		if time.Since(start) > waitLimit {
			t.Fatal("the slow readers have left, and the budget is still in use")
		}
	}
	old.Close()
	p.stop(t)
}
