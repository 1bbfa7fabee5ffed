package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/listener"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// roundTrip sends bytes and reads the answer.
func roundTrip(t *testing.T, p *wstest.Peer, request string) (*http.Response, string) {
	t.Helper()
	if err := p.SendRaw([]byte(request)); err != nil {
		t.Fatal(err)
	}
	r, err := p.ReadResponse()
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	if r.StatusCode == http.StatusSwitchingProtocols {
		return r, ""
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{About: "what this is"})
	for _, path := range []string{"", "ws", "echo", "healthz", "readyz", "a/b?c=d"} {
		p, err := wstest.Dial(s.url+path, wstest.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		send(t, p, wstest.TextFrame(path), wstest.BinaryFrame([]byte(path)))
		receive(t, p, wstest.Text, path)
		receive(t, p, wstest.Binary, path)
		_ = p.Close()
		if o := s.end(t); o.URI != "/"+path {
			t.Errorf("got URI %q, want %q", o.URI, "/"+path)
		}
	}
	for _, tt := range []struct {
		request string
		status  int
		body    string
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, "what this is\n"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 405, "method \"PRI\" is not allowed here\n"},
		{"GET /?q HTTP/1.1\r\nHost: x\r\n\r\n", 200, "what this is\n"},
		{"GET / HTTP/1.0\r\n\r\n", 200, "what this is\n"},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200, "ok\n"},
		{"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", 200, "ok\n"},
		{"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", 426, "only a WebSocket handshake is answered here\n"},
		{"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", 426, "only a WebSocket handshake is answered here\n"},
		{"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n", 426, "only a WebSocket handshake is answered here\n"},
		{"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\r\n", 426, "only a WebSocket handshake is answered here\n"},
		{"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 426, "only a WebSocket handshake is answered here\n"},
	} {
		r, body := roundTrip(t, s.raw(t), tt.request)
		if r.StatusCode != tt.status || body != tt.body {
			t.Errorf("%q: got %d %q, want %d %q", tt.request, r.StatusCode, body, tt.status, tt.body)
		}
	}
	r, err := http.Head("http" + s.url[2:])
	if err != nil || r.StatusCode != 200 {
		t.Errorf("HEAD: got %v, %v", r, err)
	}
	_ = r.Body.Close()
}

func TestBadHandshakes(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{})
	for _, tt := range []struct {
		line   string
		header http.Header
		status int
		says   string
		field  string // a field that the answer must have
		value  string
	}{
		{"", http.Header{"Sec-WebSocket-Version": {"8"}}, 400, "version", "Sec-WebSocket-Version", "13"},
		{"", http.Header{"Sec-WebSocket-Version": {}}, 400, "version", "Sec-WebSocket-Version", "13"},
		{"", http.Header{"Sec-WebSocket-Key": {}}, 400, "missing Sec-WebSocket-Key", "", ""},
		{"", http.Header{"Sec-WebSocket-Key": {"c2hvcnQ="}}, 400, "invalid Sec-WebSocket-Key", "", ""},
		{"", http.Header{"Sec-WebSocket-Key": {"\xff\x1b[31m"}}, 400, "", "", ""},
		{"", http.Header{"Sec-WebSocket-Key": {wstest.SampleKey, wstest.SampleKey}}, 400, "multiple", "", ""},
		{"POST / HTTP/1.1", http.Header{"Content-Length": {"0"}}, 405, "method", "Allow", "GET"},
		{"GET / HTTP/1.0", nil, 426, "HTTP/1.1", "Upgrade", "websocket"},
		{"", http.Header{"Connection": {"keep-alive"}}, 426, "a proxy has probably removed", "Upgrade", "websocket"},
		{"GET /ws HTTP/1.1", http.Header{"Upgrade": {"websockets"}}, 426, "", "Upgrade", "websocket"},
	} {
		request := string(wstest.Request(s.url, "", tt.header))
		if tt.line != "" {
			request = strings.Replace(request, "GET / HTTP/1.1", tt.line, 1)
		}
		r, body := roundTrip(t, s.raw(t), request)
		if r.StatusCode != tt.status || !strings.Contains(body, tt.says) || strings.Contains(body, "\x1b") || !utf8.ValidString(body) {
			t.Errorf("%s %v: got %d %q, want %d and %q", tt.line, tt.header, r.StatusCode, body, tt.status, tt.says)
		}
		if tt.field != "" && r.Header.Get(tt.field) != tt.value {
			t.Errorf("%s %v: got %v, want %s: %s", tt.line, tt.header, r.Header, tt.field, tt.value)
		}
		if tt.status == 426 && r.Header.Get("Sec-Websocket-Version") != "13" {
			t.Errorf("%s %v: got %v", tt.line, tt.header, r.Header)
		}
		if !r.Close { // a proxy may tunnel whatever follows
			t.Errorf("%s %v: the connection is kept after %d", tt.line, tt.header, r.StatusCode)
		}
	}
	if n := s.open(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

func TestHeaderBytes(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{})
	for _, tt := range []struct {
		header http.Header
		status int
	}{
		{http.Header{"X": {strings.Repeat("x", 11<<10)}}, 101},
		{http.Header{"X": {strings.Repeat("x", 17<<10)}}, 431},
		{http.Header{"X": {strings.Repeat("x", 64<<10)}}, 431},
		{http.Header{"X": strings.Split(strings.Repeat("x ", 4000), " ")}, 431},
		{http.Header{"Sec-WebSocket-Protocol": {strings.Repeat(" ,", 5<<10)}}, 101},
		{http.Header{"Sec-WebSocket-Extensions": {strings.Repeat(";, ", 3<<10)}}, 101},
	} {
		p := s.raw(t)
		go func() { _ = p.SendRaw(wstest.Request(s.url, "", tt.header)) }()
		r, err := p.ReadResponse()
		if err != nil || r.StatusCode != tt.status {
			t.Errorf("got %v, %v, want %d", r, err, tt.status)
		}
		if r != nil && tt.status != 101 {
			_ = r.Body.Close()
		}
	}
}

// TestSpelling checks that the answers spell the fields of the handshake as RFC 6455
// does.
func TestSpelling(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{Subprotocols: []string{"a"}, Compression: websocket.CompressionNoContextTakeover})
	for _, tt := range []struct {
		path   string
		header http.Header
		names  []string
	}{
		{"", http.Header{"Sec-WebSocket-Protocol": {"a"}, "Sec-WebSocket-Extensions": {"permessage-deflate"}}, []string{"Accept", "Extensions", "Protocol"}},
		{"", http.Header{"Sec-WebSocket-Version": {"12"}}, []string{"Version"}},
		{"x", http.Header{"Upgrade": {}}, []string{"Version"}},
	} {
		p := s.raw(t)
		if err := p.SendRaw(wstest.Request(s.url+tt.path, "", tt.header)); err != nil {
			t.Fatal(err)
		}
		_ = p.NetConn().SetReadDeadline(time.Now().Add(soon))
		in := bufio.NewReader(p.NetConn())
		var head strings.Builder
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			head.WriteString(line)
		}
		for _, name := range tt.names {
			if !strings.Contains(head.String(), "\r\nSec-WebSocket-"+name+": ") {
				t.Errorf("got no Sec-WebSocket-%s in %q", name, head.String())
			}
		}
		if strings.Contains(head.String(), "Sec-Websocket-") {
			t.Errorf("got %q", head.String())
		}
	}
}

// TestErrorHook: the Error option writes the refusal.
func TestErrorHook(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			w.Header().Set("X-Path", r.URL.Path)
			w.WriteHeader(status)
			fmt.Fprintf(w, "{%q: %d}", reason, status)
		},
	})
	r, body := roundTrip(t, s.raw(t), "GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
	if r.StatusCode != 426 || r.Header.Get("X-Path") != "/x" || body != `{"only a WebSocket handshake is answered here": 426}` {
		t.Errorf("got %d, %v, %s", r.StatusCode, r.Header, body)
	}
	if status, body := s.status(t, http.Header{"Origin": {"null"}}); status != 403 || !strings.HasSuffix(body, ": 403}") {
		t.Errorf("got %d, %s", status, body)
	}
}

// TestOnRefuse: OnRefuse gets each refusal once, with the status and the reason. It gets
// no request that is answered.
func TestOnRefuse(t *testing.T) {
	t.Parallel()
	type refusal struct {
		path   string
		status int
		reason string
	}
	got := make(chan refusal, 10)
	s := serve(t, echoes, server.Options{
		MaxConns: 1,
		Hosts:    []string{"127.0.0.1"},
		Admit: func(r *http.Request) (any, error) {
			if r.URL.Path == "/denied" {
				return nil, errors.New("no ticket")
			}
			return nil, nil
		},
		OnRefuse: func(r *http.Request, status int, reason error) {
			got <- refusal{r.URL.Path, status, reason.Error()}
		},
	})
	upgrade := func(path string, header http.Header) string { return string(wstest.Request(s.url+path, "", header)) }
	for _, tt := range []struct {
		request string
		status  int // 0: OnRefuse is not called
		path    string
	}{
		{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 0, ""},
		{"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", 426, "/ws"},
		{upgrade("a", http.Header{"Origin": {"http://elsewhere.example"}}), 403, "/a"},
		{upgrade("b", http.Header{"Sec-WebSocket-Version": {"8"}}), 400, "/b"},
		{upgrade("c", http.Header{"Content-Length": {"3"}}), 400, "/c"},
		{upgrade("d", http.Header{"Host": {"elsewhere.example"}}), 421, "/d"},
		{upgrade("denied", nil), 403, "/denied"},
		{upgrade("good", nil), 0, ""},
		{upgrade("late", nil), 503, "/late"}, // the only slot is in use
	} {
		r, body := roundTrip(t, s.raw(t), tt.request)
		if tt.status == 0 {
			if len(got) > 0 {
				t.Errorf("%.40q: got %+v for a request with the answer %d", tt.request, <-got, r.StatusCode)
			}
			continue
		}
		want := refusal{tt.path, tt.status, strings.TrimSuffix(body, "\n")}
		if len(got) != 1 {
			t.Errorf("%.40q: got %d calls, want 1", tt.request, len(got))
		} else if g := <-got; g != want || r.StatusCode != tt.status {
			t.Errorf("%.40q: got %+v and the answer %d, want %+v", tt.request, g, r.StatusCode, want)
		}
	}
}

// TestSlowHandshake sends part of a request, or nothing, and waits.
func TestSlowHandshake(t *testing.T) {
	const timeout = 2 * time.Second // a busy machine may need one for a handshake
	t.Parallel()
	s := serve(t, echoes, server.Options{HandshakeTimeout: timeout, PingInterval: -1})
	good := s.dial(t, wstest.DialOptions{})
	var wg sync.WaitGroup
	for _, part := range []string{"", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"} {
		p := s.raw(t)
		wg.Go(func() {
			_ = p.SendRaw([]byte(part))
			_ = p.NetConn().SetReadDeadline(time.Now().Add(soon))
			if _, err := io.Copy(io.Discard, p.NetConn()); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%q: not closed", part)
			}
		})
	}
	p := s.raw(t)
	wg.Go(func() {
		if err := p.Drip(wstest.Request(s.url, "", nil), timeout/20); err != nil {
			return
		}
		if r, err := p.ReadResponse(); err == nil && r.StatusCode == 101 {
			t.Error("a handshake byte by byte was accepted after its time")
		}
	})
	wg.Wait()
	send(t, good, wstest.TextFrame("the timeout is not the connection's"))
	receive(t, good, wstest.Text, "the timeout is not the connection's")
}

// TestLateAnswer: the time of the handshake is over when the server would answer. The
// client gets the end of the stream. Under TLS it gets no record out of order.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"ws", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			const timeout = 2 * time.Second // a busy machine may need one for a handshake
			l := listen(t)
			config, clients := wstest.TLS()
			if scheme == "wss" {
				l = listener.WithTLS(l, config)
			}
			s := serveOn(t, l, echoes, server.Options{HandshakeTimeout: timeout, CheckOrigin: func(*http.Request) bool {
				time.Sleep(timeout)
				return true
			}})
			s.url = scheme + strings.TrimPrefix(s.url, "ws")
			p, err := wstest.RawDial(s.url, wstest.DialOptions{TLS: clients})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if err := p.SendRaw(wstest.Request(s.url, "", http.Header{"Origin": {"http://other.example"}})); err != nil {
				t.Fatal(err)
			}
			if r, err := p.ReadResponse(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client got %v, %v, want the end of the stream", r, err)
			}
		})
	}
}

// TestUpgradeOfAnOldConnection upgrades an HTTP connection that was open for longer
// than the handshake timeout, as a proxy's may be.
func TestUpgradeOfAnOldConnection(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second // a busy machine may need one for a handshake
	for name, first := range map[string]string{
		"plain":   "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"refused": "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, echoes, server.Options{HandshakeTimeout: timeout})
			p := s.raw(t)
			if r, _ := roundTrip(t, p, first); r.Close {
				t.Fatal("the connection is not kept")
			}
			time.Sleep(timeout + timeout/4)
			if r, body := roundTrip(t, p, string(wstest.Request(s.url, "", nil))); r.StatusCode != http.StatusSwitchingProtocols {
				t.Errorf("got %d %s", r.StatusCode, body)
			}
		})
	}
}

// TestWithoutUpgrade: a proxy has removed a header of the handshake. The answer names that
// cause.
func TestWithoutUpgrade(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{})
	const key, version = "Sec-WebSocket-Key: " + wstest.SampleKey + "\r\n", "Sec-WebSocket-Version: 13\r\n"
	for _, path := range []string{"/", "/ws", "/healthz"} {
		for _, fields := range []string{key + version, key, version, key + version + "Upgrade: websocket\r\n", key + "Connection: Upgrade\r\n"} {
			r, body := roundTrip(t, s.raw(t), "GET "+path+" HTTP/1.1\r\nHost: x\r\n"+fields+"\r\n")
			if r.StatusCode != 426 || !strings.Contains(body, "a proxy has probably removed") {
				t.Errorf("%s, %q: got %d %q", path, fields, r.StatusCode, body)
			}
		}
	}
}

// TestMethods: other methods than GET and HEAD get 405, and the connection is kept.
func TestMethods(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{})
	p := s.raw(t)
	for _, line := range []string{"POST /", "PUT /healthz", "DELETE /readyz", "OPTIONS /", "TRACE /", "get /", "OPTIONS *", "POST *", "CONNECT x:80"} {
		r, body := roundTrip(t, p, line+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		if r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" || !strings.Contains(body, "method") {
			t.Errorf("%s: got %d, %v, %q", line, r.StatusCode, r.Header, body)
		}
	}
	for _, line := range []string{"POST /", "OPTIONS *"} { // a missing body does not delay the answer
		r, _ := roundTrip(t, s.raw(t), line+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
		if r.StatusCode != 405 || !r.Close {
			t.Errorf("%s: got %d, close: %v", line, r.StatusCode, r.Close)
		}
	}
}

// TestAnsweredByNetHTTP: net/http answers some requests without the server. It closes the
// connection after each. So a peer cannot send thousands of them to bypass the server's
// fairness.
func TestAnsweredByNetHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{})
	for request, status := range map[string]int{
		"GET / HTTP/1.1\r\n\r\n":                                    400,
		"GET / HTTP/3.1\r\nHost: x\r\n\r\n":                         505,
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n": 501,
		"GET / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n":            417,
		"GET /" + strings.Repeat("x", 20<<10) + " HTTP/1.1\r\n\r\n": 431,
	} {
		p := s.raw(t)
		r, _ := roundTrip(t, p, request)
		if r.StatusCode != status || !r.Close {
			t.Errorf("%.60q: got %d, close: %v, want %d and close", request, r.StatusCode, r.Close, status)
		}
	}
}

// TestHTTP: Options.HTTP serves what is no handshake, and the server still answers its own
// paths.
func TestHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %v", r.Method, r.URL.Path, body, err)
	})})
	for _, tt := range []struct {
		request string
		status  int
		body    string
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, "GET /  <nil>"},
		{"POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\na=b\n", 200, "POST /form a=b\n <nil>"},
		{"POST /form HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n", 200, "POST /form a=b <nil>"},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200, "ok\n"},
		{"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", 200, "ok\n"},
		{"GET /ws HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Version: 13\r\n\r\n", 426, ""},
		{string(wstest.Request(s.url+"ws", "", http.Header{"Sec-WebSocket-Version": {"8"}})), 400, ""},
	} {
		r, body := roundTrip(t, s.raw(t), tt.request)
		if r.StatusCode != tt.status || tt.body != "" && body != tt.body {
			t.Errorf("%q: got %d %q, want %d %q", tt.request, r.StatusCode, body, tt.status, tt.body)
		}
	}
	p := s.dial(t, wstest.DialOptions{})
	send(t, p, wstest.TextFrame("x"))
	receive(t, p, wstest.Text, "x")
}

// TestHTTPIdleTimeout: a plain HTTP connection is closed after HTTPIdleTimeout without a
// request, 75 s by default.
func TestHTTPIdleTimeout(t *testing.T) {
	for _, tt := range []struct{ option, want time.Duration }{
		{0, 75 * time.Second}, {time.Hour, time.Hour}, {-1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newPipes()
			serveOn(t, l, echoes, server.Options{HTTPIdleTimeout: tt.option})
			c := l.dial()
			defer c.Close()
			in := bufio.NewReader(c)
			if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, r.Body)
			start := time.Now()
			_ = c.SetReadDeadline(start.Add(24 * time.Hour))
			_, err = in.ReadByte()
			took := time.Since(start)
			if tt.want == 0 && !errors.Is(err, os.ErrDeadlineExceeded) || tt.want != 0 && (err != io.EOF || took != tt.want) {
				t.Errorf("%v: closed after %v with %v, want %v", tt.option, took, err, tt.want)
			}
		})
	}
}

// TestHandshakeWithBody: the server refuses a handshake with a body, which two servers
// could parse differently.
func TestHandshakeWithBody(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{})
	for _, header := range []http.Header{{"Content-Length": {"5"}}, {"Transfer-Encoding": {"chunked"}}} {
		if got, body := s.status(t, header); got != http.StatusBadRequest {
			t.Errorf("%v: got %d %s", header, got, body)
		}
	}
}
