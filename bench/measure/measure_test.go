package measure_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/wstest"
)

// TestMain makes the test binary also run as the measured processes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if role, ok := roles[os.Args[1]]; ok {
			if err := role(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(wstest.VerifyNoLeaks(m))
}

var roles = map[string]func() error{
	"server":  server,
	"silent":  untilEOF,
	"ends":    func() error { return errors.New("this server ends at once, as the test expects") },
	"chatty":  func() error { fmt.Println("hello"); return untilEOF() },
	"parent":  parent,
	"listens": listens,
}

func untilEOF() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// server answers requests on its standard input.
func server() error {
	fmt.Println("listening here")
	lines := bufio.NewScanner(os.Stdin)
	for n := 0; lines.Scan(); n++ {
		for range calls {
			_ = syscall.Getppid()
		}
		if n == 0 {
			fmt.Println("allocs 12345")
		} else {
			fmt.Println("allocs unknown")
		}
	}
	return lines.Err()
}

// calls is the number of system calls that server makes for each request.
const calls = 5000

// listens listens on the address in its argument. It allocates and frees large memory. After
// SIGTERM it ends when a client sends something.
func listens() error {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	l, err := net.Listen("tcp", os.Args[2])
	if err != nil {
		return err
	}
	defer l.Close()
	big, err := syscall.Mmap(-1, 0, largeMemory, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return err
	}
	for i := 0; i < largeMemory; i += 512 {
		big[i] = 1
	}
	if err := syscall.Munmap(big); err != nil {
		return err
	}
	fmt.Println("memory freed")
	<-terminated
	for n := 0; n == 0; { // StartAt has connected, too
		c, err := l.Accept()
		if err != nil {
			return err
		}
		n, _ = c.Read(make([]byte, 1))
		c.Close()
	}
	return nil
}

const largeMemory = 64 << 20

// parent starts a process and prints its address. The test kills it.
func parent() error {
	p, err := startAt("listens")
	if err != nil {
		return err
	}
	fmt.Println("listening", p.Addr)
	time.Sleep(time.Minute)
	return nil
}

// startAt starts a process on a free port. On Linux no other program uses its address of
// the loopback network, so none can take the port meanwhile.
func startAt(role string) (*measure.Process, error) {
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+rand.N(254), rand.N(256), 1+rand.N(254))
	}
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	l.Close()
	return measure.StartAt(context.Background(), self(role, addr), addr)
}

func self(args ...string) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return exec.Command(path, args...)
}

func TestStart(t *testing.T) {
	p, err := measure.Start(t.Context(), self("server"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if p.Addr != "here" {
		t.Errorf("the address is %q, want here", p.Addr)
	}
	if n, err := p.Allocs(); n != 12345 || err != nil {
		t.Errorf("%d allocations, %v", n, err)
	}
	if n, err := p.Allocs(); err == nil || !strings.Contains(err.Error(), `"allocs unknown"`) {
		t.Errorf("%d allocations, %v", n, err)
	}
	p.Stop()
	if err := p.Wait(time.Second); err != nil {
		t.Errorf("after the end of its input: %v", err)
	}
	if n, err := p.Allocs(); err == nil {
		t.Errorf("%d allocations of a process that has ended", n)
	}
	if n, err := p.Peak(); err == nil {
		t.Errorf("a peak of %d of a process that has ended", n)
	}
}

func TestNoStart(t *testing.T) {
	for role, want := range map[string]string{
		"ends":   "did not print its address: the process has ended: exit status 1",
		"chatty": `did not print its address but "hello"`,
		"silent": "did not print its address: context deadline exceeded",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if role == "silent" {
			ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
		}
		began := time.Now()
		cmd := self(role)
		cmd.Stderr = t.Output() // the error is expected
		p, err := measure.Start(ctx, cmd)
		if err == nil {
			p.Stop()
		}
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", role, err)
		}
		if role == "ends" && time.Since(began) > 15*time.Second {
			t.Errorf("%s: noticed after %v", role, time.Since(began))
		}
		cancel()
	}
	cmd := self("ends")
	cmd.Stderr = t.Output()
	if p, err := measure.StartAt(t.Context(), cmd, "127.0.0.1:1"); err == nil || !strings.HasSuffix(err.Error(), "ended at once: exit status 1") {
		if err == nil {
			p.Stop()
		}
		t.Errorf("a process that ends at once: %v", err)
	}
	if _, err := measure.Start(t.Context(), exec.Command("/nowhere/nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program: %v", err)
	}
}

func TestTerminate(t *testing.T) {
	p, err := startAt("listens")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if n, err := p.Allocs(); err == nil {
		t.Errorf("%d allocations of a process that cannot report them", n)
	}
	var peak, resident int64
	for range 1000 { // until it has freed its memory
		if peak, err = p.Peak(); err != nil {
			t.Fatal(err)
		}
		if resident, err = p.Resident(); err != nil {
			t.Fatal(err)
		}
		if peak > largeMemory && resident < largeMemory {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if peak <= largeMemory || peak > 4*largeMemory || resident >= largeMemory {
		t.Errorf("a peak of %d and now %d, want a peak over %d and less now", peak, resident, largeMemory)
	}
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(time.Millisecond); err == nil || !strings.HasSuffix(err.Error(), "has not ended within 1ms") {
		t.Errorf("at once: %v", err)
	}
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	select {
	case <-p.Ended():
	case <-time.After(20 * time.Second):
		t.Error("the process does not end")
	}
	if err := p.Wait(time.Second); err != nil {
		t.Error(err)
	}
}

// TestEndsWithParent: a process ends when its parent is killed.
func TestEndsWithParent(t *testing.T) {
	cmd := self("parent")
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if !ok {
		t.Errorf("the parent printed %q, %v", line, err)
	}
	if c, err := net.Dial("tcp", addr); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for range 250 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		c.Close()
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the child still listens")
}

func TestSystemCalls(t *testing.T) {
	p, err := measure.Start(t.Context(), self("server"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	s, err := p.SystemCalls()
	if err != nil {
		t.Skipf("NOT TESTED HERE: %v", err)
	}
	if _, err := p.Allocs(); err != nil { // before the window
		t.Error(err)
	}
	if err := s.Begin(); err != nil {
		t.Error(err)
	}
	if _, err := p.Allocs(); err == nil {
		t.Error("the second request was answered")
	}
	n, err := s.End()
	if err != nil {
		t.Fatal(err)
	}
	if n < calls || n > calls+calls/2 {
		t.Errorf("got %d system calls, want a little more than %d", n, calls)
	}
	if s, err = p.SystemCalls(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.End(); n != 0 || err != nil {
		t.Errorf("without a window %d, %v", n, err)
	}
}

func TestNoSystemCalls(t *testing.T) {
	p, err := measure.Start(t.Context(), self("server"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	path := os.Getenv("PATH")
	t.Setenv("PATH", t.TempDir())
	if _, err := p.SystemCalls(); err == nil || !strings.Contains(err.Error(), "linux-perf") {
		t.Errorf("without perf: %v", err)
	}
	t.Setenv("PATH", path)
	p.Stop()
	if _, err := p.SystemCalls(); err == nil || !strings.Contains(err.Error(), "system calls are not counted") {
		t.Errorf("a process that has ended: %v", err)
	}
}
