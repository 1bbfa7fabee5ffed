package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/internal/hostile"
	"example.com/wsecho/wstest"
)

// quietTime and attackTime are for how long a good client is looked at, alone
// and beside an attack.
const (
	quietTime  = forceTime / 2
	attackTime = forceTime
)

const (
	// tries are how often an attack may be tried: the machine has moments of its
	// own, and what is the server's fault happens every time.
	tries = 3
	// floor is less than what a busy machine takes when nobody attacks.
	floor = 20 * time.Millisecond
	// most is what they may make it take all together, beside what each may.
	most = 64 << 20
)

// TestFullForce attacks the binary from two hundred connections, in every way. A
// good client beside them keeps a p99 under five times what it has alone, the
// memory has a bound, and afterwards nothing is left.
//
// What is looked at is the server's fairness and not that of the machine, which
// all share. So the attackers are a process of their own that yields to others,
// and the server one that does not where that is allowed; and beside the server that is attacked there is another that is not, whose
// client is held up by whatever the machine is busy with.
func TestFullForce(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	program := filepath.Join(t.TempDir(), "wsecho")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	program = wrapped(t, program, "exec nice -n -10")
	spared := startFor(t, program)
	for _, a := range hostile.Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			p := startFor(t, program, append([]string{"--memory-budget=16MiB"}, a.Flags...)...)
			var first hostile.Use
			for try := 1; ; try++ {
				f := strike(t, p, spared, a)
				if try == 1 {
					first = f.base
				}
				f.base = first
				t.Logf("measured: try %d: %v", try, f)
				bad := f.judge()
				if bad == "" {
					break
				}
				if try == tries {
					t.Fatalf("%s: %v", bad, f)
				}
			}
			p.stop(t)
		})
	}
}

// TestNothingIsLeft attacks the command, in this process, in all ways at once:
// then its goroutines, its memory and its descriptors are what they were.
func TestNothingIsLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var log safe
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--addr=127.0.0.1:0", "--memory-budget=16MiB", "--compression=context-takeover", "--close-timeout=1s"}, io.Discard, &log)
	}()
	addr := ""
	for start := time.Now(); addr == ""; time.Sleep(time.Millisecond) {
		if match := regexp.MustCompile(`listening addr=(\S+)`).FindStringSubmatch(log.String()); match != nil {
			addr = match[1]
		} else if time.Since(start) > patience {
			t.Fatalf("it does not listen:\n%s", log.String())
		}
	}
	held := func() (goroutines, files int, heap int64) {
		runtime.GC()
		runtime.GC() // the first only marks what is in pools
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		use, err := hostile.UseOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), use.Files, int64(m.HeapAlloc)
	}
	good, err := wstest.Dial("ws://"+addr+"/", wstest.DialOptions{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	goroutines, files, heap := held()

	const each = 10
	stop := startAttack(t, "all", addr, each)
	defer stop()
	if n := runtime.NumGoroutine(); n < goroutines+each {
		t.Errorf("there are %d goroutines, of %d before: who attacks?", n, goroutines)
	}
	time.Sleep(2 * time.Second) // for so long it goes on
	stop()
	const slack = 4 << 20
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		g, f, h := held()
		if g <= goroutines && f <= files && h <= heap+slack {
			break
		}
		if time.Since(start) > patience {
			t.Errorf("left are %d goroutines, %d files and %d KiB, of %d, %d and %d", g, f, h>>10, goroutines, files, heap>>10)
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
	go func() { _ = leave(good) }()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") {
			t.Errorf("a line that is not quiet: %s", line)
		}
	}
}

// A safe is a log that may be read while it is written.
type safe struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// wrapped is a program that runs the other as the words of a shell before it say.
func wrapped(t *testing.T, program, words string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "wrapped")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+words+" '"+program+"' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

// A force is what an attack did.
type force struct {
	quiet, beside latency // of the good client, alone and beside it
	spared        latency // of the other server's client, meanwhile
	base          hostile.Use
	peak          int64       // of resident memory
	after         hostile.Use // when the attackers are gone
}

// A latency is that of messages on a connection that is there, and of new
// connections with a message each: all but the slowest hundredth.
type latency struct{ message, connect time.Duration }

func (l latency) String() string {
	return fmt.Sprintf("%.1f, %.1f ms", 1e3*l.message.Seconds(), 1e3*l.connect.Seconds())
}

func (f force) String() string {
	return fmt.Sprintf("p99 of a message and of a connection %v, alone %v, of the other server %v; memory %d MiB, before %d, after %d; files after %d, before %d",
		f.beside, f.quiet, f.spared, f.peak>>20, f.base.RSS>>20, f.after.RSS>>20, f.after.Files, f.base.Files)
}

// judge says what is wrong, if anything is.
func (f force) judge() string {
	switch {
	case f.beside.message > 5*max(floor, f.quiet.message, f.spared.message):
		return "a good client's messages were held up"
	case f.beside.connect > 5*max(floor, f.quiet.connect, f.spared.connect):
		return "new connections were held up"
	case f.peak > f.base.RSS+most+attackers*64<<10:
		return "it took too much memory"
	case f.after.Files > f.base.Files:
		return "descriptors are left"
	case f.after.RSS > f.base.RSS+most:
		return "memory is left"
	}
	return ""
}

// strike attacks once.
func strike(t *testing.T, p, spared *process, a hostile.Attack) (f force) {
	t.Helper()
	pid := p.cmd.Process.Pid
	use := func() hostile.Use {
		u, err := hostile.UseOf(pid)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	client := func(p *process) *wstest.Peer {
		peer, err := wstest.Dial(p.url(), wstest.DialOptions{Timeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		return peer
	}
	good, other := client(p), client(spared)
	defer good.Close()
	defer other.Close()
	f.quiet = look(t, p, good, quietTime, true)
	f.base = use()

	stop := startAttack(t, a.Name, p.addr, attackers)
	defer stop()
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			u, err := hostile.UseOf(pid)
			if err != nil {
				t.Error(err)
				return
			}
			f.peak = max(f.peak, u.RSS)
			select {
			case <-over:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	watching.Go(func() { f.spared = look(t, spared, other, attackTime, true) })
	f.beside = look(t, p, good, attackTime, !a.Full)
	close(over)
	watching.Wait()
	stop()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		f.after = use()
		if f.after.Files <= f.base.Files && f.after.RSS <= f.base.RSS+most || time.Since(start) > patience {
			return f
		}
	}
}

// startAttack starts a process that attacks, at a low priority, and waits until
// all its connections have been there.
func startAttack(t *testing.T, name, addr string, conns int) (stop func()) {
	t.Helper()
	cmd := exec.Command("nice", "-n", "10", "attack", name, addr, strconv.Itoa(conns))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan string, 1)
	go func() {
		said, _ := io.ReadAll(io.LimitReader(out, int64(len("begun\n"))))
		begun <- string(said)
	}()
	stop = sync.OnceFunc(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the attack: %v", err)
		}
	})
	select {
	case said := <-begun:
		if said == "begun\n" {
			return stop
		}
	case <-time.After(2 * patience):
	}
	stop()
	t.Fatalf("the attack %q has not begun", name)
	return nil
}

// look is a good client for a while: a message now and then, and a new connection.
func look(t *testing.T, p *process, good *wstest.Peer, d time.Duration, connect bool) (l latency) {
	t.Helper()
	var messages, connects []time.Duration
	trip := func(peer *wstest.Peer) error {
		if err := peer.Send(wstest.TextFrame("hello")); err != nil {
			return err
		}
		_, _, err := peer.RecvMessage()
		return err
	}
	for start := time.Now(); time.Since(start) < d; time.Sleep(5 * time.Millisecond) {
		began := time.Now()
		if err := trip(good); err != nil {
			t.Errorf("the good client: %v", err)
			return l
		}
		messages = append(messages, time.Since(began))
		if !connect || len(messages)%4 != 0 {
			continue
		}
		began = time.Now()
		peer, err := wstest.Dial(p.url(), wstest.DialOptions{Timeout: patience})
		if err != nil {
			t.Errorf("a new client: %v", err)
			return l
		}
		err = trip(peer)
		connects = append(connects, time.Since(began))
		peer.Close()
		if err != nil {
			t.Errorf("a new client: %v", err)
			return l
		}
	}
	return latency{p99(messages), p99(connects)}
}

func p99(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)-1)*99/100]
}
