package server

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// soon is never waited out by a test that passes.
const soon = 20 * time.Second

// A hall is a lobby with an HTTP server behind it.
type hall struct {
	*lobby
	peak atomic.Int64 // how many were in it at once

	began   chan bool // one for each request for /held
	release chan bool // such a request is answered when it can take one
}

func newHall(t *testing.T, most int) *hall {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{lobby: newLobby(l, slog.New(slog.DiscardHandler), most), began: make(chan bool, 10), release: make(chan bool)}
	hs := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/held" {
				h.began <- true
				<-h.release
			}
		}),
		ConnState: func(c net.Conn, s http.ConnState) {
			h.state(c, s)
			h.peak.Store(max(h.peak.Load(), int64(h.size())))
		},
	}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(h) }()
	t.Cleanup(func() {
		_ = hs.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: got %v", err)
		}
		if n := h.peak.Load(); n > int64(most) {
			t.Errorf("there were %d at once, want at most %d", n, most)
		}
		for start := time.Now(); h.size() > 0; time.Sleep(time.Millisecond) {
			if time.Since(start) > soon {
				t.Fatalf("%d are left in the lobby", h.size())
			}
		}
	})
	return h
}

func (h *hall) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.in)
}

// enter connects, sends what is not empty, and waits until it is in the lobby.
func (h *hall) enter(t *testing.T, request string) net.Conn {
	t.Helper()
	before := h.size()
	c, err := net.Dial("tcp", h.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); h.size() == before; time.Sleep(time.Millisecond) {
		if time.Since(start) > soon {
			t.Fatal("a connection is not accepted")
		}
	}
	return c
}

// get asks on a new connection and returns the status line.
func (h *hall) get(path string) (string, error) {
	c, err := net.Dial("tcp", h.Addr().String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	status, _, _ := strings.Cut(string(b), "\r\n")
	return status, err
}

// open reports whether the server has not closed c. A deadline may have passed
// before the read begins, which then does not look: so it is asked several times.
func open(c net.Conn) bool {
	for range 5 {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
	}
	return true
}

// TestLobbyShowsOut fills the lobby with those that say nothing, or not enough,
// and asks all the same. Those that have been there for longest make room.
func TestLobbyShowsOut(t *testing.T) {
	t.Parallel()
	const most = 8
	h := newHall(t, most)
	var slow []net.Conn
	for i := range most {
		slow = append(slow, h.enter(t, []string{"", "GET / HT"}[i%2]))
	}
	const asked = 3
	for range asked {
		if got, err := h.get("/"); got != "HTTP/1.1 200 OK" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	out := 0 // how many were shown out, from the oldest on
	for out < most && !open(slow[out]) {
		out++
	}
	left := 0
	for _, c := range slow[out:] {
		if open(c) {
			left++
		}
	}
	if out < 1 || out > asked || out+left != most {
		t.Errorf("the %d oldest were shown out, and %d others are open, of %d, when %d had asked", out, left, most, asked)
	}
}

// TestLobbyWaits does not show out before its time: when one leaves there is room.
func TestLobbyWaits(t *testing.T) {
	t.Parallel()
	const most = 4
	h := newHall(t, most)
	var slow []net.Conn
	for range most {
		slow = append(slow, h.enter(t, ""))
	}
	got := make(chan string, 1)
	go func() {
		status, _ := h.get("/")
		got <- status
	}()
	last := slow[most-1]
	start := time.Now()
	last.Close()
	if status := <-got; status != "HTTP/1.1 200 OK" {
		t.Fatalf("got %q", status)
	}
	if d := time.Since(start); d < patience/2 && !open(slow[0]) {
		t.Errorf("the first was shown out, though another had left %v before", d)
	}
}

// TestLobbyLeavesTheBusy shows nobody out whose request is being answered.
func TestLobbyLeavesTheBusy(t *testing.T) {
	t.Parallel()
	const most = 3
	h := newHall(t, most)
	answers := make(chan string, most+1)
	for range most {
		go func() {
			status, err := h.get("/held")
			answers <- status
			if err != nil {
				t.Error(err)
			}
		}()
		<-h.began
	}
	go func() {
		status, _ := h.get("/")
		answers <- status
	}()
	select {
	case status := <-answers:
		t.Errorf("got %q where there was no room", status)
	case <-time.After(patience + patience/2):
	}
	for range most {
		h.release <- true
	}
	for range most + 1 {
		if status := <-answers; status != "HTTP/1.1 200 OK" {
			t.Errorf("got %q", status)
		}
	}
}

// TestLobbyClears closes those that have asked for nothing.
func TestLobbyClears(t *testing.T) {
	t.Parallel()
	h := newHall(t, 5)
	silent := h.enter(t, "")
	idle := h.enter(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := idle.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() {
		status, _ := h.get("/held")
		answer <- status
	}()
	<-h.began
	for start := time.Now(); h.size() != 1; time.Sleep(time.Millisecond) {
		h.clear() // the idle one is idle a moment after its answer
		if time.Since(start) > soon {
			t.Fatalf("%d are left, want the one that is being answered", h.size())
		}
	}
	if open(silent) || open(idle) {
		t.Error("one that asked for nothing is still open")
	}
	h.release <- true
	if got := <-answer; got != "HTTP/1.1 200 OK" {
		t.Errorf("got %q", got)
	}
}

// An exhausted listener has no connection as long as it is told so.
type exhaustedListener struct {
	net.Listener // nil
	conns        chan net.Conn
	tries        atomic.Int64
	short        atomic.Bool
	done         chan bool
}

func (l *exhaustedListener) Accept() (net.Conn, error) {
	l.tries.Add(1)
	if l.short.Load() {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *exhaustedListener) Close() error { close(l.done); return nil }

type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// TestLobbyExhausted runs out of descriptors, for a while and off and on. The log
// has a line when that begins and a line when it is over.
func TestLobbyExhausted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		inner := &exhaustedListener{conns: make(chan net.Conn), done: make(chan bool)}
		l := newLobby(inner, slog.New(slog.NewTextHandler(&log, nil)), 10)
		over := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					over <- err
					return
				}
				c.Close()
			}
		}()
		synctest.Wait()
		accept := func() { // a connection, which is what Accept is called again after
			ours, theirs := net.Pipe()
			inner.conns <- theirs
			ours.Close()
			synctest.Wait()
		}
		for range 2 { // spells
			inner.short.Store(true)
			accept()
			time.Sleep(30 * time.Second)
			for range 10 { // a descriptor is free now and then
				inner.short.Store(false)
				time.Sleep(retry + time.Millisecond)
				inner.short.Store(true)
				accept()
				time.Sleep(retry + time.Millisecond)
			}
			got := log.take()
			if strings.Count(got, "\n") != 1 || !strings.Contains(got, `level=WARN msg="cannot accept connections"`) || !strings.Contains(got, "too many open files") {
				t.Errorf("got %q, want one line, that it began", got)
			}
			if n := inner.tries.Swap(0); n < 100 || n > 400 {
				t.Errorf("it was tried %d times in 35 s", n)
			}
			inner.short.Store(false)
			time.Sleep(2 * calmTime)
			if got := log.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `level=WARN msg="accepting connections again"`) {
				t.Errorf("got %q, want one line, that it is over", got)
			}
			time.Sleep(time.Minute)
		}
		inner.short.Store(true)
		accept()
		_ = l.Close()
		inner.short.Store(false)
		if err := <-over; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}
