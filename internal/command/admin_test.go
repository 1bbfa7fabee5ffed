package command

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// startAdmin serves WebSockets and their metrics. It returns the server, its URL and the
// address of the metrics.
func startAdmin(t testing.TB, o server.Options) (s *server.Server, url, addr string) {
	t.Helper()
	budget, err := echo.NewBudget(1<<20, 0, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	e := &echo.Echo{Budget: budget}
	m := newMetrics(e)
	o.Observer = m.Observer()
	if s, err = server.New(func(ctx context.Context, c *server.Conn) error { return e.Serve(ctx, c) }, o); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	log := slog.New(slog.DiscardHandler)
	al, err := listenAdmin("127.0.0.1:0", log)
	if err != nil {
		t.Fatal(err)
	}
	probes := newProber(nil)
	a := serveAdmin(al, adminHandler(s, newRegistry(m, "v1.2.3", func() int64 { return 7 }), probes, log), log)
	t.Cleanup(func() {
		probes.close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		a.close()
		if err := al.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener of the metrics is open after the end: %v", err)
		}
	})
	return s, "ws://" + l.Addr().String() + "/", al.Addr().String()
}

func TestAdmin(t *testing.T) {
	s, url, addr := startAdmin(t, server.Options{DrainDelay: time.Minute})
	p, err := wstest.Dial(url, wstest.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Send(wstest.TextFrame("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.RecvMessage(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) { // a reader publishes its counts when it waits
		if in := s.Totals().Text.MessagesIn; in == 1 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%d messages are counted", in)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	drained := make(chan error, 1)
	for _, tt := range []struct {
		request string // method, path
		host    string // "": the address
		header  string // NAME:VALUE
		status  int
		typ     string // the beginning of the Content-Type
		want    string // a pattern of the body
	}{
		{"GET /metrics", "", "", 200, "text/plain", `(?m)^wsecho_messages_total\{direction="in",type="text"\} 1$`},
		{"GET /metrics", "", "", 200, "text/plain", `(?m)^wsecho_build_info\{goversion="go[^"]+",platform="\w+/\w+",version="v1.2.3"\} 1$`},
		{"GET /metrics", "", "", 200, "text/plain", `(?m)^wsecho_log_lines_lost_total 7$`},
		{"GET /metrics", "", "", 200, "text/plain", `(?m)^wsecho_memory_budget_bytes 1.048576e\+06$`},
		{"GET /metrics", "", "", 200, "text/plain", `(?m)^go_goroutines `},
		{"GET /metrics", "", "Accept:application/openmetrics-text;version=1.0.0", 200, "application/openmetrics-text", `# EOF\n$`},
		{"GET /metrics", "", "Accept:application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", 200, "application/vnd.google.protobuf", `wsecho_ping_rtt_seconds`},
		{"POST /metrics", "", "", 405, "", ""},
		{"GET /", "", "", 200, "text/plain", `/connections\n`},
		{"GET /other", "", "", 404, "", ""},
		{"GET /probe?target=ws://localhost:1/", "", "", 403, "text/plain", "--probe-target=PATTERN"},
		{"GET /probe", "evil.example", "", 403, "text/plain", "DNS rebinding"},
		{"GET /probe", "", "Sec-Fetch-Site:cross-site", 403, "text/plain", "another site"},
		{"GET /healthz", "", "", 200, "text/plain", `^ok\n$`},
		{"GET /readyz", "", "", 200, "text/plain", `^ok\n$`},
		{"GET /debug/pprof/", "", "", 200, "text/html", "goroutine"},
		{"GET /debug/pprof/heap", "", "", 200, "application/octet-stream", ""},
		{"GET /debug/pprof/cmdline", "", "", 200, "text/plain", ""},
		{"GET /debug/pprof/profile?seconds=500", "", "", 400, "", "a profile takes 2m0s at most"},
		{"GET /debug/pprof/trace?seconds=1e9", "", "", 400, "", "a profile takes 2m0s at most"},
		{"GET /metrics", "localhost", "", 200, "", ""},
		{"GET /metrics", "localhost:9090", "", 200, "", ""},
		{"GET /metrics", "[::1]:9090", "", 200, "", ""},
		{"GET /metrics", "[::1]", "", 200, "", ""},
		{"GET /metrics", "127.0.0.1", "", 200, "", ""},
		{"GET /metrics", "evil.example", "", 403, "text/plain", "DNS rebinding"},
		{"GET /metrics", "evil.example:9090", "", 403, "text/plain", "DNS rebinding"},
		{"GET /metrics", "localhost.evil.example", "", 403, "text/plain", "DNS rebinding"},
		{"GET /metrics", "127.0.0.1.evil.example:9090", "", 403, "text/plain", "DNS rebinding"},
		{"GET /connections", "[evil.example]:9090", "", 403, "text/plain", "DNS rebinding"},
		{"GET /debug/pprof/profile", "", "Sec-Fetch-Site:cross-site", 403, "text/plain", "another site"},
		{"GET /debug/pprof/profile", "", "Sec-Fetch-Site:same-site", 403, "text/plain", "another site"},
		{"GET /metrics", "", "Sec-Fetch-Site:none", 200, "", ""},
		{"GET /metrics", "", "Sec-Fetch-Site:same-origin", 200, "", ""},
		{"GET /healthz", "", "drain", 200, "text/plain", `^ok\n$`},
		{"GET /readyz", "", "", 503, "text/plain", `^draining\n$`},
		{"GET /metrics", "", "", 200, "text/plain", `(?m)^wsecho_drain_state\{state="announced"\} 1$`},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		r, err := http.NewRequest(method, "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		if name, value, ok := strings.Cut(tt.header, ":"); ok {
			r.Header.Set(name, value)
		} else if tt.header == "drain" {
			go func() { drained <- s.Shutdown(ctx) }()
			for !notReady(t, addr) {
				time.Sleep(time.Millisecond)
			}
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("%v: %v", tt, err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != tt.status || !strings.HasPrefix(answer.Header.Get("Content-Type"), tt.typ) || !regexp.MustCompile(tt.want).Match(body) {
			t.Errorf("%v: got %d, %s, %v, %.300s", tt, answer.StatusCode, answer.Header.Get("Content-Type"), err, body)
		}
		if h := answer.Header; answer.StatusCode != 400 && h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v: got %v", tt, h)
		}
	}
	cancel()
	if err := <-drained; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// notReady reports whether /readyz is 503.
func notReady(t *testing.T, addr string) bool {
	t.Helper()
	r, err := http.Get("http://" + addr + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	return r.StatusCode == http.StatusServiceUnavailable
}

// TestAdminHandshake: the port of the metrics never becomes a WebSocket.
func TestAdminHandshake(t *testing.T) {
	s, _, addr := startAdmin(t, server.Options{})
	for _, path := range []string{"", "healthz", "readyz", "metrics", "connections", "probe"} {
		if p, err := wstest.Dial("ws://"+addr+"/"+path, wstest.DialOptions{}); err == nil {
			t.Errorf("/%s accepted a WebSocket", path)
			_ = p.Close()
		}
	}
	if n := s.Count(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

// TestAdminOptions: OPTIONS * is refused as other requests are.
func TestAdminOptions(t *testing.T) {
	t.Parallel()
	_, _, addr := startAdmin(t, server.Options{})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: x.example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusForbidden {
		t.Errorf("got %s, want 403", r.Status)
	}
}

// TestAdminBounded: clients that send nothing cannot keep the port from a scrape.
func TestAdminBounded(t *testing.T) {
	testfull.Only(t, "silent clients are closed after 5 s")
	t.Parallel()
	_, _, addr := startAdmin(t, server.Options{})
	for range 2 * adminConns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	scrapeWithin(t, addr, 10*adminHeaderTime)
}

// scrapeWithin requests the metrics, and waits for the answer for at most limit.
func scrapeWithin(t *testing.T, addr string, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

// TestAdminBodies: clients that never send the body of their request cannot keep the port
// from a scrape.
func TestAdminBodies(t *testing.T) {
	t.Parallel()
	_, _, addr := startAdmin(t, server.Options{})
	for i := range 2 * adminConns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		request := []string{"GET /metrics", "POST /connections/1/close"}[i%2]
		if _, err := io.WriteString(c, request+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	scrapeWithin(t, addr, adminHeaderTime*4/5)
}

// TestAdminIdle: clients that stay connected after a request cannot keep the port from a
// scrape.
func TestAdminIdle(t *testing.T) {
	t.Parallel()
	_, _, addr := startAdmin(t, server.Options{})
	get := func() {
		t.Helper()
		transport := new(http.Transport) // with a connection of its own
		t.Cleanup(transport.CloseIdleConnections)
		client := http.Client{Transport: transport, Timeout: 30 * time.Second}
		answer, err := client.Get("http://" + addr + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
	}
	for range adminConns + 10 {
		get()
	}
}

// TestConnections compares the answer with the connections.
func TestConnections(t *testing.T) {
	s, url, addr := startAdmin(t, server.Options{
		PingInterval: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond, MaxMissed: 1000,
		PerConn: func(*http.Request) (*server.ConnOptions, error) { return &server.ConnOptions{Fault: "drop=rst"}, nil },
	})
	get := func() (all []map[string]any) {
		t.Helper()
		r, err := http.Get("http://" + addr + "/connections")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var got struct{ Connections []map[string]any }
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || got.Connections == nil || r.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("got %v, %v, %v", got, err, r.Header)
		}
		return got.Connections
	}
	if all := get(); len(all) != 0 {
		t.Errorf("got %v, want none", all)
	}
	const n = 100
	for range n {
		p, err := wstest.Dial(url, wstest.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		if err := p.Send(wstest.TextFrame("hello")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.RecvMessage(); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = p.Answer(t.Context(), wstest.AnswerOptions{}) }()
	}
	fields := []string{"age_seconds", "bytes_in", "bytes_out", "fault", "id", "last_received", "messages_in", "messages_out", "peer", "remote", "rtt_seconds", "since", "state", "subprotocol", "uri", "write_stalls"}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		all := get()
		right := len(all) == n
		for _, c := range all {
			var names []string
			for name := range c {
				names = append(names, name)
			}
			slices.Sort(names)
			remote, _, err := net.SplitHostPort(fmt.Sprint(c["remote"]))
			since, timeErr := time.Parse(time.RFC3339Nano, fmt.Sprint(c["since"]))
			if !slices.Equal(names, fields) || remote != "127.0.0.1" || cmp.Or(err, timeErr) != nil || time.Since(since) > time.Minute || c["state"] != "open" || c["fault"] != "drop=rst" {
				t.Fatalf("got %v", c)
			}
			rtt, measured := c["rtt_seconds"].(float64)
			right = right && measured && rtt > 0 && c["messages_out"] == 1.0 && c["bytes_in"] == 5.0
		}
		if right {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("got %v", all)
		}
	}
	if s.Count() != n {
		t.Errorf("%d connections are open", s.Count())
	}
}

// TestListenAdmin: an address in use is a warning, and other errors end the start.
func TestListenAdmin(t *testing.T) {
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	for _, tt := range []struct {
		addr string
		code int // 0: no error
		want string
	}{
		{"off", 0, ""},
		{used.Addr().String(), 0, "address is in use"},
		{"nonsense", exitUsage, `--admin-addr: "nonsense" is not an address`},
		{"127.0.0.1:port", exitUsage, `--admin-addr: "port" is not a port`},
		{"127.0.0.1:", exitUsage, `--admin-addr: "127.0.0.1:" has no port; use a number`},
		{":", exitUsage, `--admin-addr: ":" has no port; use a number`},
		{":+", exitUsage, `--admin-addr: "+" is not a port`}, // LookupPort returns 0
		{"unix:/run/x.sock", exitUsage, "--admin-addr: it cannot be a unix socket"},
		{"192.0.2.1:9090", exitFailure, "--admin-addr: cannot listen on 192.0.2.1:9090"}, // of no machine; RFC 5737
	} {
		var log bytes.Buffer
		l, err := listenAdmin(tt.addr, slog.New(slog.NewTextHandler(&log, nil)))
		code, text := 0, log.String()
		if err != nil {
			code, text = exitCode(err), err.Error()
		}
		if l != nil || code != tt.code || !strings.Contains(text, tt.want) || tt.want == "" && text != "" {
			t.Errorf("%s: got %v, %d, %q, want %d and %q", tt.addr, l, code, text, tt.code, tt.want)
		}
	}
}

// TestMetricsPage compares the table in docs/metrics.md with the metrics.
func TestMetricsPage(t *testing.T) {
	_, _, addr := startAdmin(t, server.Options{})
	r, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^# HELP (wsecho_\w+) (.*)\n# TYPE \w+ (\w+)\n(.*)`).FindAllStringSubmatch(string(body), -1) {
		var labels []string
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[4], -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		list := strings.Join(labels, ", ")
		if list != "" {
			list += " "
		}
		got = append(got, fmt.Sprintf("| `%s` | %s | %s| %s |", m[1], m[3], list, m[2]))
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile("(?m)^\\| `wsecho_.*$").FindAllString(string(page), -1)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
