package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// wantFull dials and wants the refusal of a full server.
func (s *testServer) wantFull(t *testing.T, o wstest.DialOptions) {
	t.Helper()
	p, err := wstest.Dial(s.url, o)
	if err == nil {
		_ = p.Close()
	}
	bad := (*wstest.HandshakeError)(nil)
	if !errors.As(err, &bad) || bad.Response.StatusCode != 503 || bad.Response.Header.Get("Retry-After") == "" {
		t.Errorf("got %v, want 503 with Retry-After", err)
	}
}

func TestMaxConns(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]server.Options{
		"in all":      {MaxConns: 2},
		"per address": {MaxConnsPerIP: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, echoes, o)
			first, second := s.dial(t, wstest.DialOptions{}), s.dial(t, wstest.DialOptions{})
			s.wantFull(t, wstest.DialOptions{})
			// A bad handshake gives its slot back.
			if status, _ := s.status(t, http.Header{"Sec-WebSocket-Version": {"8"}}); status != 503 {
				t.Errorf("got %d", status)
			}
			r, err := http.Get("http" + s.url[2:] + "healthz")
			if err != nil || r.StatusCode != 200 {
				t.Errorf("healthz: got %v, %v", r, err)
			}
			_ = r.Body.Close()
			_ = first.Close()
			s.end(t)
			s.usesSlots(t, 1)
			for range 5 {
				if status, _ := s.status(t, http.Header{"Sec-WebSocket-Version": {"8"}}); status != 400 {
					t.Errorf("a place is free: got %d, want 400", status)
				}
			}
			third := s.dial(t, wstest.DialOptions{})
			s.wantFull(t, wstest.DialOptions{})
			send(t, second, wstest.TextFrame("2"))
			receive(t, second, wstest.Text, "2")
			send(t, third, wstest.TextFrame("3"))
			receive(t, third, wstest.Text, "3")
		})
	}
}

// TestClients shows which addresses MaxConnsPerIP counts as one client.
func TestClients(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		prefix        int
		first, second string
		same          bool
	}{
		{0, "192.0.2.1:1", "192.0.2.1:2", true},
		{0, "192.0.2.1:1", "192.0.2.2:1", false},
		{0, "192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{0, "[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1", true},
		{0, "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
		{56, "[2001:db8:0:1::1]:1", "[2001:db8:0:ff::1]:1", true},
		{56, "[2001:db8:0:1::1]:1", "[2001:db8:0:100::1]:1", false},
		{128, "[2001:db8::1]:1", "[2001:db8::2]:1", false},
		{128, "[2001:db8::1]:1", "[2001:db8::1]:2", true},
		{0, "[fe80::1%eth0]:1", "[fe80::2%eth0]:1", false},
		{0, "[fe80::1%eth0]:1", "[fe80::1%eth0]:2", true},
		{0, "2001:db8::1", "2001:db8::2", true}, // as a middleware may set it
		{0, "unix", "unix", true},
		{0, "unix", "other", false},
	} {
		s, err := server.New(echoes, server.Options{MaxConnsPerIP: 1, IPv6Prefix: tt.prefix, CloseTimeout: closeTimeout})
		if err != nil {
			t.Fatal(err)
		}
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = r.Header.Get("X-Real-Ip")
			s.ServeHTTP(w, r)
		}))
		defer ts.Close()
		dial := func(from string) (*wstest.Peer, error) {
			return wstest.Dial("ws"+ts.URL[len("http"):], wstest.DialOptions{Header: http.Header{"X-Real-Ip": {from}}})
		}
		p, err := dial(tt.first)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		second, err := dial(tt.second)
		if err == nil {
			defer second.Close()
		}
		if same := err != nil; same != tt.same {
			t.Errorf("%s and %s with %d bits: one client: %v, want %v (%v)", tt.first, tt.second, tt.prefix, same, tt.same, err)
		}
	}
}

// TestLongRequest: a connection does not keep its request in memory. The test is not
// parallel, because it measures the heap.
func TestLongRequest(t *testing.T) {
	const conns, long = 50, 11 << 10
	perConn := func(path string, header http.Header) int64 {
		s := serve(t, echoes, server.Options{Subprotocols: []string{"chat"}, PingInterval: -1})
		s.url += path[1:]
		size := func() int64 {
			runtime.GC()
			runtime.GC() // the first one moves pooled buffers to the victim cache
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := size()
		for range conns {
			s.dial(t, wstest.DialOptions{Header: header})
		}
		eventually(t, "all are open", func() bool { return s.open() == conns })
		return (size() - before) / conns
	}
	chat := http.Header{"Sec-WebSocket-Protocol": {"chat"}}
	short := perConn("/", chat)
	for name, tt := range map[string]struct {
		path   string
		header http.Header
	}{
		"URI":         {"/" + strings.Repeat("a", long), chat},
		"Host":        {"/", http.Header{"Host": {strings.Repeat("a", long)}, "Sec-WebSocket-Protocol": {"chat"}}},
		"subprotocol": {"/", http.Header{"Sec-WebSocket-Protocol": {"chat" + strings.Repeat(" ", long) + ", b"}}},
		"request ID":  {"/", http.Header{"X-Request-Id": {strings.Repeat("a", long)}, "Sec-WebSocket-Protocol": {"chat"}}},
	} {
		got := perConn(tt.path, tt.header)
		t.Logf("measured: %s: %d bytes of heap for a connection and its client, %d with a short one", name, got, short)
		if got > short+long/2 {
			t.Errorf("a long %s: got %d bytes of heap for a connection, want about %d", name, got, short)
		}
	}
}

// TestMaxConnsAtOnce dials many connections at once. The number of connections never
// exceeds the limit.
func TestMaxConnsAtOnce(t *testing.T) {
	t.Parallel()
	const most = 5
	var now, peak, in atomic.Int64
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		n := now.Add(1)
		defer now.Add(-1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		return echoes(ctx, c)
	}, server.Options{MaxConns: most})
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			p, err := wstest.Dial(s.url, wstest.DialOptions{})
			if err != nil {
				return
			}
			in.Add(1)
			_ = p.Send(wstest.CloseFrame(1000, ""))
			_, _ = p.End(soon)
			_ = p.Close()
		})
	}
	wg.Wait()
	if peak.Load() > most || in.Load() < most {
		t.Errorf("got %d at once and %d in all, want at most and at least %d", peak.Load(), in.Load(), most)
	}
	for range in.Load() {
		wantKind(t, s.end(t), ending.Normal)
	}
}

// TestPanickingOptions: a panic in a function of the Options does not leak a slot. The log
// has it.
func TestPanickingOptions(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	s := serve(t, echoes, server.Options{
		MaxConns: 1,
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
		Admit: func(r *http.Request) (any, error) {
			if r.URL.Path == "/panic" {
				panic("in Admit")
			}
			return r.URL.Path, nil
		},
	})
	for range 3 {
		if p, err := wstest.Dial(s.url+"panic", wstest.DialOptions{}); err == nil {
			_ = p.Close()
			t.Fatal("a panic in Admit was no refusal")
		}
	}
	eventually(t, "the panics are logged", func() bool { return log.count(": in Admit\" stack=\"goroutine") == 3 })
	if log.count("level=ERROR msg=\"http: panic serving ") != 3 {
		t.Errorf("got the log %s", log.b.String())
	}
	s.dial(t, wstest.DialOptions{})
}
