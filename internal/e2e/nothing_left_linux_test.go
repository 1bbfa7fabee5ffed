package e2e

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/internal/command"
	"example.com/wsecho/internal/hostile"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// TestNothingIsLeft runs the command in this process, under all attacks at once. After
// them the numbers of goroutines and descriptors and the heap are those from before.
func TestNothingIsLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log, err := os.Create(filepath.Join(t.TempDir(), "log")) // in memory it would count as heap
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ended := make(chan int, 1)
	go func() {
		ended <- command.Run(ctx, "", []string{"--addr=127.0.0.1:0", "--compression=context-takeover", "--close-timeout=1s"}, io.Discard, log)
	}()
	match, err := waitFor(log.Name(), `listening addr=(\S+)`)
	if err != nil {
		t.Fatal(err)
	}
	addr := match[1]
	current := func() (goroutines, files int, heap int64) {
		use, err := hostile.UseOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		goroutines, heap, _ = ownResources()
		return goroutines, use.Files, heap
	}
	good, err := wstest.Dial("ws://"+addr+"/", wstest.DialOptions{Timeout: waitLimit})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	// The first connection that is parked starts the goroutines that watch them all.
	stacks := make([]byte, 1<<20)
	for start := time.Now(); !watchesParked(stacks); time.Sleep(time.Millisecond) {
		if time.Since(start) > waitLimit {
			t.Fatal("the idle connection is not parked")
		}
	}
	goroutines, files, heap := current()

	const conns = 10
	c := startAttack("exec", "all", addr, conns)
	defer c.stop(t)
	c.waitBegun(t)
	for start := time.Now(); runtime.NumGoroutine() < goroutines+conns; time.Sleep(time.Millisecond) {
		if time.Since(start) > waitLimit {
			t.Fatalf("got %d goroutines during the attack, %d before: the attack has not begun", runtime.NumGoroutine(), goroutines)
		}
	}
	time.Sleep(time.Duration(testfull.N(1, 2)) * time.Second) // the duration of the attack
	c.stop(t)
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		g, f, h := current()
		if g <= goroutines && f <= files && h <= heap+heapSlack {
			break
		}
		if time.Since(start) > waitLimit {
			t.Errorf("got %d goroutines, %d files and %d KiB after the attack, want at most %d, %d and %d", g, f, h>>10, goroutines, files, heap>>10)
			break
		}
	}
	if err := good.Send(wstest.TextFrame("still here")); err != nil {
		t.Error(err)
	}
	if _, got, err := good.RecvMessage(); string(got) != "still here" {
		t.Errorf("got %q, %v", got, err)
	}
	cancel()
	go func() { _ = answerClose(good) }()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(log.Name())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields, err := parseLine(strings.TrimSuffix(line, "\n")); err != nil || fields["level"] != "INFO" && !isRefusal(fields) {
			t.Errorf("want only lines of level INFO and refusals, %v: %s", err, line)
		}
	}
}
