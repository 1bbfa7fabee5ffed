package command

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// startProber serves /probe with these patterns and returns its URL.
func startProber(t *testing.T, patterns string, change func(*prober)) (url string) {
	t.Helper()
	parsed, err := parseTargetPatterns(strings.Fields(patterns))
	if err != nil {
		t.Fatal(err)
	}
	p := newProber(parsed)
	if change != nil {
		change(p)
	}
	s := httptest.NewServer(p)
	t.Cleanup(func() {
		p.close()
		s.Close()
	})
	return s.URL + "/probe"
}

// scrape returns the answer to a GET with these parameters. Header fields are NAME:VALUE.
func scrape(t *testing.T, probeURL, target, parameters string, header ...string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, probeURL+"?target="+url.QueryEscape(target)+"&"+parameters, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ":")
		r.Header.Set(name, value)
	}
	transport := new(http.Transport) // with a connection of its own
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// TestProbeRefused checks the requests that probe nothing.
func TestProbeRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int64
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = c.Close()
		}
	}()
	address := "ws://" + l.Addr().String() + "/"
	none, open := startProber(t, "", nil), startProber(t, "*:* 127.0.0.1:1 wss://127.0.0.1:* ws://127.0.0.1:*/other", nil)
	mapped := strings.Replace(address, "127.0.0.1", "[::ffff:127.0.0.1]", 1)
	for _, tt := range []struct {
		url, target, parameters, header string
		status                          int
		want                            string
	}{
		{none, address, "", "", 403, "--probe-target=PATTERN"},
		{open, address, "", "", 403, "127.0.0.1 is a private address; only a pattern with the address allows it, such as --probe-target=127.0.0.1:"},
		{open, mapped, "", "", 403, "127.0.0.1 is a private address"},
		{open, strings.Replace(address, "127.0.0.1", "localhost", 1), "", "", 403, "localhost leads to "},
		{open, strings.Replace(address, "127.0.0.1", "0.0.0.0", 1), "", "", 403, "0.0.0.0 is a private address"},
		{open, "ws://169.254.169.254/latest", "", "", 403, "169.254.169.254 is a private address"},
		{open, "ws://[fd00:ec2::254]/latest", "", "", 403, "--probe-target=[fd00:ec2::254]"},
		{startProber(t, "example.com", nil), address, "", "", 403, "no pattern of --probe-target allows the target"},
		{open, "", "", "", 400, "the parameter target is missing"},
		{open, "http://example.com", "", "", 400, "does not begin with ws:// or wss://"},
		{open, "example.com:80", "", "", 400, "does not begin with ws:// or wss://"},
		{open, "ws://user:secret@example.com/", "", "", 400, "has user information"},
		{open, "ws://example.com/a/../b", "", "", 400, "has a path with . or .."},
		{open, "ws://example.com/#a", "", "", 400, "has a fragment"},
		{open, "ws://example.com/\r\nX: y", "", "", 400, "is not a URL"},
		{open, "ws://example.com", "module=http_2xx", "", 400, `there is no parameter "module"; there are target, count`},
		{open, "ws://example.com/?drop=rst", "after=3", "", 400, `there is no parameter "after"; there are target, count, interval, timeout, subprotocol, origin, debug; a & of the target must be %26`},
		{open, "10.0.0.1:8080", "", "", 400, `"10.0.0.1:8080" does not begin with ws:// or wss://`},
		{open, "ws://example.com", "target=ws://example.org", "", 400, "the parameter target has 2 values; give it one"},
		{open, "ws://example.com", "count=0", "", 400, `count: "0" is not a number from 1 to 100`},
		{open, "ws://example.com", "count=101", "", 400, `is not a number from 1 to 100`},
		{open, "ws://example.com", "count=1e9", "", 400, `is not a number from 1 to 100`},
		{open, "ws://example.com", "interval=99ms", "", 400, "interval: 99ms is less than 100ms"},
		{open, "ws://example.com", "interval=-1s", "", 400, "interval: -1s is less than 100ms"},
		{open, "ws://example.com", "interval=2000000h", "", 400, "take too long"},
		{open, "ws://example.com", "count=100&interval=1s", "", 400, "100 pings with an interval of 1s take too long for a probe of 10s"},
		{open, "ws://example.com", "", probeTimeoutField + ":0.2", 400, "too long for a probe of 150ms"},
		{open, "ws://example.com", "timeout=0s", "", 400, "timeout: 0s is not more than 0"},
		{open, "ws://example.com", "timeout=5", "", 400, `timeout: "5" is not a duration`},
		{open, "ws://example.com", "subprotocol=a%20b", "", 400, `subprotocol: "a b" is not a token`},
		{open, "ws://example.com", "origin=http://a%0d%0aX:y", "", 400, "origin: the value of Origin has a control character"},
		{open, "ws://example.com", "debug=1", "", 400, `debug: "1" is neither true nor false`},
		{open, "ws://example.com", "%zz", "", 400, "the query is wrong"},
		{open, "ws://example.com", "", probeTimeoutField + ":soon", 400, `"soon" is not a number of seconds`},
		{open, "ws://example.com", "", probeTimeoutField + ":NaN", 400, "is not a number of seconds"},
		{open, "ws://example.com", "", probeTimeoutField + ":-1", 400, "is not a number of seconds"},
	} {
		var header []string
		if tt.header != "" {
			header = []string{tt.header}
		}
		if status, body := scrape(t, tt.url, tt.target, tt.parameters, header...); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%q %s: got %d, %s", tt.target, tt.parameters, status, body)
		}
	}
	l.Close()
	<-accepted
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were opened", n)
	}
}

// TestProbeTime checks the time of a probe for a scrape timeout.
func TestProbeTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 10 * time.Second, "10": 9500 * time.Millisecond, "10.5": 10 * time.Second, "2": 1500 * time.Millisecond,
		"1": 750 * time.Millisecond, "0.5": 375 * time.Millisecond, "1e9": time.Minute - 500*time.Millisecond, "Inf": time.Minute - 500*time.Millisecond,
	} {
		if got, err := probeTime(text); got != want || err != nil {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}

// TestProbeBounds checks that the number of probes has a limit. A probe ends when its
// client disconnects, and close ends those that run.
func TestProbeBounds(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}, 10), make(chan struct{}, 10)
	stalled := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		_, _ = p.ReadRequest()
		began <- struct{}{}
		_, _ = p.NetConn().Read(make([]byte, 1))
		ended <- struct{}{}
	})
	var own *prober
	probeURL := startProber(t, "127.0.0.1:*", func(p *prober) { p.slots = make(chan struct{}, 1); own = p })
	get := func(ctx context.Context) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, probeURL+"?timeout=1m&target="+stalled+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(probeTimeoutField, "60")
		return http.DefaultTransport.RoundTrip(r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := get(ctx)
		first <- err
	}()
	<-began
	if status, body := scrape(t, probeURL, stalled+"/", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, "probes are running") {
		t.Errorf("got %d, %s", status, body)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(waitLimit):
		t.Fatal("the probe did not end with its client")
	}
	own.slots <- struct{}{} // waits for the end of the probe
	<-own.slots

	answers := make(chan *http.Response, 1)
	go func() {
		answer, err := get(t.Context())
		if err != nil {
			t.Error(err)
		}
		answers <- answer
	}()
	<-began
	own.close()
	<-own.slots // for the second close
	if answer := <-answers; answer != nil {
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("got %s", answer.Status)
		}
	}
}

// TestProbeDebug: the answer has the log, the verdict and the metrics.
func TestProbeDebug(t *testing.T) {
	t.Parallel()
	address := wstest.Serve(t, answering(1, func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1011, "out of\ncoffee")) }))
	for _, accept := range []string{"Accept:*/*", "Accept:application/openmetrics-text;version=1.0.0", "Accept-Encoding:gzip"} {
		status, body := scrape(t, startProber(t, "127.0.0.1:*", nil), address+"/", "debug=true", accept)
		if want := `(?s)^Log of the probe of ws://127.*connected to 127.*pong 1: .*ended: peer code by the server, code 1011, reason "out of\\ncoffee".*exit code 7: .*Metrics:\n\n.*probe_success 0\n`; status != 200 || !regexp.MustCompile(want).MatchString(body) {
			t.Errorf("%s: got %d, %s", accept, status, body)
		}
	}
}

// TestProbeParameters: the server gets the subprotocol and the origin.
func TestProbeParameters(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	address := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		r, err := p.ReadRequest()
		if err != nil {
			return
		}
		got <- r.Header
		if p.SendRaw(wstest.Response(r.Header.Get("Sec-WebSocket-Key"), http.Header{"Sec-Websocket-Protocol": {"two"}})) == nil {
			wstest.Echo(p)
		}
	})
	status, body := scrape(t, startProber(t, "127.0.0.1:*", nil), address+"/", "subprotocol=one&subprotocol=two&origin=https://example.com&count=1")
	if status != 200 || !strings.Contains(body, "\nprobe_success 1\n") {
		t.Errorf("got %d, %s", status, body)
	}
	if h := <-got; h.Get("Sec-Websocket-Protocol") != "one, two" || h.Get("Origin") != "https://example.com" {
		t.Errorf("got %v", h)
	}
}

// TestProbeEarlyClose checks the sentence for a server that closes before the last ping.
func TestProbeEarlyClose(t *testing.T) {
	t.Parallel()
	address := wstest.Serve(t, answerOnce(func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1000, "")) }))
	_, body := scrape(t, startProber(t, "127.0.0.1:*", nil), address+"/", "debug=true&count=5")
	if !strings.Contains(body, "\nexit code 6: the server closed after 1 of 5 pings\n") {
		t.Errorf("got %s", body)
	}
}

// TestProbeNoProxy checks that /probe uses no proxy of the environment.
func TestProbeNoProxy(t *testing.T) {
	withoutProxies(t)
	address := wstest.Serve(t, wstest.Echo)
	_, port, _ := strings.Cut(strings.TrimPrefix(address, "ws://"), ":")
	web := newTestProxy(t, httpProxy)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://"+web.addr)
	}
	resolver := nameServer(t, []string{"127.0.0.1"})
	probeURL := startProber(t, "*:* 127.0.0.1:*", func(p *prober) { p.resolver = resolver })
	status, body := scrape(t, probeURL, "ws://name.test:"+port+"/", "count=1")
	if status != 200 || !strings.Contains(body, "probe_success 1") || web.addresses() != "" {
		t.Errorf("got %d, the proxy was asked for %q: %s", status, web.addresses(), body)
	}
}
