package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"log"
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

	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	testfull.Parallel(3, 1)
	os.Exit(wstest.VerifyNoLeaks(m))
}

// testTimeout is longer than a passing test waits.
const testTimeout = 20 * time.Second

// A testServer is an HTTP server behind a Limiter.
type testServer struct {
	*Limiter
	addr string
	peak atomic.Int64 // the most pending connections at once

	began   chan bool // has a value for each request for /blocked
	release chan bool // answers such a request
}

type connKey struct{}

// newTestServer serves a TCP listener, whose address is addr, and the others.
func newTestServer(t *testing.T, most int, others ...net.Listener) *testServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &testServer{Limiter: New(slog.New(slog.DiscardHandler), func() int { return most }), addr: l.Addr().String(), began: make(chan bool, 10), release: make(chan bool)}
	hs := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := r.Context().Value(connKey{}).(net.Conn)
			h.Begin(c)
			defer h.End(c)
			r = h.UnreadBody(c, w, r)
			switch r.URL.Path {
			case "/blocked":
				h.began <- true
				<-h.release
			case "/page":
				_, _ = w.Write(make([]byte, 64<<10))
			case "/reads":
				_, _ = io.Copy(io.Discard, r.Body)
			}
		}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState: func(c net.Conn, s http.ConnState) {
			h.ConnState(c, s)
			h.peak.Store(max(h.peak.Load(), int64(h.size())))
		},
	}
	served := make(chan error, 1+len(others))
	for _, l := range append(others, l) {
		go func() { served <- hs.Serve(h.Wrap(l)) }()
	}
	t.Cleanup(func() {
		_ = hs.Close()
		for range cap(served) {
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("Serve: got %v", err)
			}
		}
		if n := h.peak.Load(); n > int64(most+len(others)) {
			t.Errorf("%d were pending at once, want at most %d", n, most+len(others))
		}
		for start := time.Now(); h.size() > 0; time.Sleep(time.Millisecond) {
			if time.Since(start) > testTimeout {
				t.Fatalf("%d are still pending", h.size())
			}
		}
	})
	return h
}

func (h *testServer) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pending)
}

// connect opens a connection, sends the request, and waits until it is pending.
func (h *testServer) connect(t *testing.T, request string) net.Conn {
	t.Helper()
	before := h.size()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(testTimeout))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); h.size() == before; time.Sleep(time.Millisecond) {
		if time.Since(start) > testTimeout {
			t.Fatal("a connection was not accepted")
		}
	}
	return c
}

// get sends a request on a new connection and returns the status line.
func (h *testServer) get(path string) (string, error) {
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(testTimeout))
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	status, _, _ := strings.Cut(string(b), "\r\n")
	return status, err
}

// isOpen reports whether the server has not closed c. It tries several times, since a
// read whose deadline has passed does not look at the socket.
func isOpen(c net.Conn) bool {
	for range 5 {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
	}
	return true
}

// TestEvicts reaches the limit with connections that send no whole request. New
// requests are answered, and the oldest connections are evicted for them.
func TestEvicts(t *testing.T) {
	t.Parallel()
	const most = 8
	h := newTestServer(t, most)
	var slow []net.Conn
	for i := range most {
		slow = append(slow, h.connect(t, []string{"", "GET / HT"}[i%2]))
	}
	const requests = 3
	for range requests {
		if got, err := h.get("/"); got != "HTTP/1.1 200 OK" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	evicted := 0 // from the oldest on
	for evicted < most && !isOpen(slow[evicted]) {
		evicted++
	}
	left := 0
	for _, c := range slow[evicted:] {
		if isOpen(c) {
			left++
		}
	}
	if evicted < 1 || evicted > requests || evicted+left != most {
		t.Errorf("after %d requests the %d oldest of %d are closed and %d others are open", requests, evicted, most, left)
	}
}

// TestEnsureSlot shows which connection is evicted, and when.
func TestEnsureSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 3
		age := minAge(most)
		l := New(slog.New(slog.DiscardHandler), func() int { return most })
		calls := 0
		l.OnEvict = func() { calls++ }
		var mu sync.Mutex
		closed := make(map[string]bool)
		conns := make(map[string]net.Conn)
		add := func(name string) {
			near, far := net.Pipe()
			conns[name] = near
			l.ConnState(near, http.StateNew)
			go func() {
				_, _ = far.Read(make([]byte, 1))
				mu.Lock()
				defer mu.Unlock()
				closed[name] = true
			}()
		}
		want := func(wait time.Duration, evicted ...string) {
			t.Helper()
			got := l.ensureSlot()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got != wait || len(closed) != len(evicted) || calls != len(evicted) {
				t.Fatalf("got %v, and %v are closed, want %v and %v", got, closed, wait, evicted)
			}
			for _, name := range evicted {
				if !closed[name] {
					t.Fatalf("%v are closed, want %v", closed, evicted)
				}
			}
		}
		for _, name := range []string{"a", "b", "c"} {
			want(0) // below the limit
			add(name)
			time.Sleep(time.Millisecond)
		}
		want(age - 3*time.Millisecond) // of a, the oldest
		// A request and its answer do not make a younger.
		l.Begin(conns["a"])
		l.ConnState(conns["a"], http.StateActive)
		time.Sleep(time.Millisecond)
		want(age - 3*time.Millisecond) // of b, since a is being answered
		l.End(conns["a"])
		l.ConnState(conns["a"], http.StateIdle)
		want(age - 4*time.Millisecond)
		time.Sleep(age)
		want(0, "a") // one for each new connection
		add("d")
		l.ConnState(conns["b"], http.StateClosed) // it frees a slot
		want(0, "a")
		add("e")
		l.Begin(conns["c"])
		l.Begin(conns["c"]) // over HTTP/2
		l.End(conns["c"])
		want(age, "a") // of d
		time.Sleep(age)
		l.Begin(conns["d"])
		l.Begin(conns["e"])
		want(answeringPoll, "a") // all are being answered
		l.End(conns["c"])
		want(answeringPoll, "a") // net/http sends the answer of c
		time.Sleep(flushTime)
		want(0, "a", "c")
		for _, name := range []string{"b", "d", "e"} {
			conns[name].Close()
			l.ConnState(conns[name], http.StateClosed)
		}
	})
}

// A runningClock measures the time in which this process runs. While others have the
// processors it is slower than the real time.
type runningClock struct{ d atomic.Int64 }

func (c *runningClock) now() time.Duration { return time.Duration(c.d.Load()) }

// run advances the clock until ctx ends.
func (c *runningClock) run(ctx context.Context) {
	const step = 5 * time.Millisecond
	for last := time.Now(); ctx.Err() == nil; {
		time.Sleep(step)
		now := time.Now()
		c.d.Add(int64(min(now.Sub(last), 2*step)))
		last = now
	}
}

// TestHoldsNoSlot attacks the slots from four times as many connections, which reconnect
// as fast as they can. A request of another client is answered soon.
func TestHoldsNoSlot(t *testing.T) {
	t.Parallel()
	const most, attackers, bound = 8, 32, 4 * time.Second
	for name, request := range map[string]string{
		"silence":                    "",
		"half a request":             "GET / HT",
		"a body that never comes":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"chunks that never come":     "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"an unknown expectation":     "GET / HTTP/1.1\r\nHost: x\r\nExpect: x\r\nContent-Length: 100\r\n\r\n",
		"a page before the body":     "GET /page HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"a handler reads the body":   "POST /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"one request after another":  "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"requests, answers not read": strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newTestServer(t, most)
			ctx, stop := context.WithCancel(context.Background())
			var attack sync.WaitGroup
			var made atomic.Int64
			var clock runningClock
			attack.Go(func() { clock.run(ctx) })
			for range attackers {
				attack.Go(func() {
					for ctx.Err() == nil {
						c, err := net.Dial("tcp", h.addr)
						if err != nil {
							continue
						}
						made.Add(1)
						over := context.AfterFunc(ctx, func() { c.Close() })
						_, err = io.WriteString(c, request)
						for err == nil { // until the server closes
							if _, err = c.Read(make([]byte, 1000)); err == nil && name == "one request after another" {
								_, err = io.WriteString(c, request)
							}
						}
						over()
						c.Close()
					}
				})
			}
			for start := time.Now(); made.Load() < 2*attackers; time.Sleep(time.Millisecond) {
				if time.Since(start) > testTimeout {
					t.Error("the server evicts none")
					break
				}
			}
			for range 5 {
				began, start := clock.now(), time.Now()
				for { // on a busy machine the request may be evicted too
					got, err := h.get("/")
					if d := clock.now() - began; d > bound || time.Since(start) > 2*testTimeout {
						t.Errorf("no answer within %v, in which this process ran for %v: %q, %v", time.Since(start), d, got, err)
					} else if got != "HTTP/1.1 200 OK" {
						continue
					}
					break
				}
			}
			stop()
			attack.Wait()
			t.Logf("measured: %d connections of attackers", made.Load())
		})
	}
}

// TestEvictsNoneBusy evicts no connection whose request is being answered.
func TestEvictsNoneBusy(t *testing.T) {
	t.Parallel()
	const most = 3
	h := newTestServer(t, most)
	answers := make(chan string, most+1)
	for range most {
		go func() {
			status, err := h.get("/blocked")
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
		t.Errorf("got %q beyond the limit", status)
	case <-time.After(10 * minAge(most)):
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

// TestCloseWaiting closes connections that wait for their peer.
func TestCloseWaiting(t *testing.T) {
	t.Parallel()
	h := newTestServer(t, 5)
	silent := h.connect(t, "")
	idle := h.connect(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := idle.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() {
		status, _ := h.get("/blocked")
		answer <- status
	}()
	<-h.began
	for start := time.Now(); h.size() != 1; time.Sleep(time.Millisecond) {
		h.closeWaiting()
		if time.Since(start) > testTimeout {
			t.Fatalf("%d are left, want the one with a request", h.size())
		}
	}
	if isOpen(silent) || isOpen(idle) {
		t.Error("a connection without a request is still open")
	}
	h.release <- true
	if got := <-answer; got != "HTTP/1.1 200 OK" {
		t.Errorf("got %q", got)
	}
}

// An exhaustedListener has no descriptors left while short is true.
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

// A logBuffer is a log that a test reads while it grows.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// TestOutage runs out of descriptors, for a while and then again and again. The log has
// a line at the beginning and a line at the end.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		inner := &exhaustedListener{conns: make(chan net.Conn), done: make(chan bool)}
		l := New(slog.New(slog.NewTextHandler(&log, nil)), func() int { return 10 }).Wrap(inner)
		done := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					done <- err
					return
				}
				c.Close()
			}
		}()
		synctest.Wait()
		accept := func() { // a connection, after which Accept is called again
			ours, theirs := net.Pipe()
			inner.conns <- theirs
			ours.Close()
			synctest.Wait()
		}
		for range 2 { // outages
			inner.short.Store(true)
			accept()
			time.Sleep(30 * time.Second)
			for range 10 { // a descriptor is free now and then
				inner.short.Store(false)
				time.Sleep(maxRetry + time.Millisecond)
				inner.short.Store(true)
				accept()
				time.Sleep(maxRetry + time.Millisecond)
			}
			got := log.take()
			if strings.Count(got, "\n") != 1 || !strings.Contains(got, `level=WARN msg="cannot accept connections"`) || !strings.Contains(got, "too many open files") {
				t.Errorf("got %q, want one line about the beginning", got)
			}
			if n := inner.tries.Swap(0); n < 100 || n > 400 {
				t.Errorf("Accept was called %d times in 35 s, want 100 to 400", n)
			}
			inner.short.Store(false)
			time.Sleep(2 * quietTime)
			if got := log.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `level=WARN msg="accepting connections again"`) {
				t.Errorf("got %q, want one line about the end", got)
			}
			time.Sleep(time.Minute)
		}
		inner.short.Store(true)
		accept()
		_ = l.Close()
		inner.short.Store(false)
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// TestLimitOfAll: several listeners have one limit. A connection in a TLS handshake can be
// evicted, and a request over TLS is answered.
func TestLimitOfAll(t *testing.T) {
	t.Parallel()
	const most = 6
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serverTLS, clientTLS := wstest.TLS()
	h := newTestServer(t, most, WithTLS(inner, serverTLS))
	addrs := []string{inner.Addr().String(), h.addr}
	var slow []net.Conn
	for i := range most {
		h.addr = addrs[i%2]
		slow = append(slow, h.connect(t, []string{"", "\x16\x03\x01\x02", "\x16"}[i%3]))
	}
	for range 2 * most {
		c, err := tls.Dial("tcp", addrs[0], clientTLS)
		for start := time.Now(); err != nil; c, err = tls.Dial("tcp", addrs[0], clientTLS) { // evicted on a busy machine
			if time.Since(start) > testTimeout {
				t.Fatal(err)
			}
		}
		_ = c.SetDeadline(time.Now().Add(testTimeout))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		defer c.Close()
	}
	for i, c := range slow {
		for start := time.Now(); isOpen(c); {
			if time.Since(start) > testTimeout {
				t.Fatalf("connection %d is still open", i)
			}
		}
	}
}
