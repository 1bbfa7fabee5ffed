package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// text is a log that a test can read meanwhile.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// serveBehindProxy runs an echo server behind the PROXY protocol, and returns its address
// and its log. The proxies are 127.0.0.1; other addresses are 127.0.0.2 and so on.
func serveBehindProxy(t *testing.T, o server.Options) (s *server.Server, addr string, log *text) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log = new(text)
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	s, err = server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Serve(ctx, &proxyListener{Listener: inner, trusted: o.TrustedProxies, require: true})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, inner.Addr().String(), log
}

// await waits for a condition.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// open sends the header and a handshake, and returns the WebSocket.
func open(t *testing.T, addr, header string, fields ...string) *wstest.Peer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p := wstest.Client(conn)
	t.Cleanup(func() { _ = p.Close() })
	h := map[string][]string{}
	for i := 0; i < len(fields); i += 2 {
		h[fields[i]] = []string{fields[i+1]}
	}
	if err := p.SendRaw(append([]byte(header), wstest.Request("ws://"+addr+"/", wstest.SampleKey, h)...)); err != nil {
		t.Fatal(err)
	}
	if r, err := p.ReadResponse(); err != nil || r.StatusCode != 101 {
		t.Fatalf("got %v, %v, want 101", r, err)
	}
	return p
}

// TestProxyProtocolParks checks that an idle connection has no goroutine, like one
// without a proxy, and that it works afterwards. The test must not be parallel.
func TestProxyProtocolParks(t *testing.T) {
	s, addr, _ := serveBehindProxy(t, server.Options{ParkAfter: 2 * time.Millisecond})
	p := open(t, addr, "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n")
	stack := make([]byte, 1<<20)
	parked := func() bool {
		return s.Count() == 1 && !bytes.Contains(stack[:runtime.Stack(stack, true)], []byte("server.(*Conn)"))
	}
	switch runtime.GOOS {
	case "linux":
		await(t, "the connection has no goroutine", parked)
	default:
		await(t, "the connection is open", func() bool { return s.Count() == 1 })
	}
	for i := range 3 {
		message := fmt.Sprint("message ", i)
		if err := p.Send(wstest.TextFrame(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := p.RecvMessage(); err != nil || string(got) != message {
			t.Fatalf("got %q, %v, want %q", got, err, message)
		}
	}
	for i := range s.Connections() {
		if i.RemoteAddr != "203.0.113.7:4711" || i.Proxy != p.NetConn().LocalAddr().String() {
			t.Errorf("the client is %s behind %s", i.RemoteAddr, i.Proxy)
		}
	}
}

// TestProxyProtocolChain checks fields of HTTP behind the PROXY protocol: they are believed
// if the header names a trusted proxy.
func TestProxyProtocolChain(t *testing.T) {
	s, addr, _ := serveBehindProxy(t, server.Options{})
	for client, want := range map[string]string{"203.0.113.7": "203.0.113.7:4711", "127.0.0.1": "198.51.100.1:0"} {
		p := open(t, addr, "PROXY TCP4 "+client+" 192.0.2.1 4711 80\r\n", "X-Forwarded-For", "198.51.100.1")
		await(t, "the connection is open", func() bool { return s.Count() == 1 })
		for i := range s.Connections() {
			if i.RemoteAddr != want {
				t.Errorf("the header names %s: the client is %s, want %s", client, i.RemoteAddr, want)
			}
		}
		_ = p.Close()
		await(t, "the connection has ended", func() bool { return s.Count() == 0 })
	}
}

// TestProxyProtocolRefused checks the answer and the log of connections that are refused.
func TestProxyProtocolRefused(t *testing.T) {
	_, addr, log := serveBehindProxy(t, server.Options{})
	for _, tt := range []struct{ from, sent, logged string }{
		{"127.0.0.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "without the header of the PROXY protocol"},
		{"127.0.0.1", "PROXY TCP9 nonsense\r\n", "header of the PROXY protocol is wrong"},
		{"127.0.0.2", "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "not accepted from this address"},
	} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(tt.from)}}
		conn, err := d.Dial("tcp", addr)
		if err != nil {
			t.Skip("this system has only one loopback address: ", err)
		}
		if _, err := conn.Write([]byte(tt.sent)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		answer := make([]byte, 12)
		if n, err := conn.Read(answer); err != nil || string(answer[:n]) != "HTTP/1.1 400" {
			t.Errorf("%q from %s: got %q, %v, want 400", tt.sent, tt.from, answer[:n], err)
		}
		conn.Close()
		await(t, "the log has: "+tt.logged, func() bool { return strings.Contains(log.String(), tt.logged) })
	}
	if strings.Contains(log.String(), "203.0.113.7") {
		t.Errorf("the log has an address from another sender than the proxy:\n%s", log)
	}
}

// TestProxyProtocolPending checks that connections without their header are evicted, so
// that they do not lock out others. Each of them sends the begin of a header.
func TestProxyProtocolPending(t *testing.T) {
	s, addr, log := serveBehindProxy(t, server.Options{HandshakeTimeout: time.Minute})
	const many = 1100 // more than may be pending
	for range many {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Skip("this system has too few descriptors: ", err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(prefixV2 + "\x21\x11\xff")); err != nil {
			t.Fatal(err)
		}
	}
	p := open(t, addr, "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n")
	await(t, "the log has an eviction", func() bool { return strings.Contains(log.String(), "msg=evicted") })
	if err := p.Send(wstest.TextFrame("hello")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := p.RecvMessage(); err != nil || string(got) != "hello" || s.Count() != 1 {
		t.Errorf("got %q, %v, %d connections", got, err, s.Count())
	}
}

// TestProxyProtocolTimeout checks that the handshake timeout bounds the wait for the header.
func TestProxyProtocolTimeout(t *testing.T) {
	t.Parallel()
	_, addr, _ := serveBehindProxy(t, server.Options{HandshakeTimeout: 200 * time.Millisecond})
	for _, sent := range []string{"", "PROXY TCP4 203.0.113.7", prefixV2, prefixV2 + "\x21\x11\x0f\xff" + strings.Repeat("x", 3000)} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %d bytes: got %d bytes, %v, want the end of the connection", len(sent), n, err)
		}
		conn.Close()
	}
}
