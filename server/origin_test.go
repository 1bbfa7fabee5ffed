package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// status returns the status of the answer to a handshake with these fields.
func (s *testServer) status(t *testing.T, header http.Header) (int, string) {
	t.Helper()
	p, err := wstest.Dial(s.url, wstest.DialOptions{Header: header})
	if bad := (*wstest.HandshakeError)(nil); errors.As(err, &bad) {
		return bad.Response.StatusCode, string(bad.Body)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Close()
	return http.StatusSwitchingProtocols, ""
}

// TestLocalOrigins: a local pattern matters only if the Host is a loopback one.
func TestLocalOrigins(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{
		LocalOriginPatterns: []string{"http://localhost:9090", "http://[::1]:9090", "app://"}, OriginPatterns: []string{"https://example.org"},
	})
	for _, tt := range []struct {
		hosts, origin string
		ok            bool
	}{
		{"localhost LOCALHOST:8080 localhost.:1 127.0.0.1 127.9.9.9:80 [::1]:8080 [::1] [::ffff:127.0.0.1]:8080", "http://localhost:9090", true},
		{"localhost:8080", "http://[0:0::1]:9090", true},
		{"localhost:8080", "app://", true},
		{"localhost:8080 example.com", "https://example.org", true},
		{"localhost:8080", "http://localhost:9091", false},
		{"example.com", "app://", false},
		{"example.com:8080 192.0.2.1:8080 localhost.example.com a.localhost 127.0.0.1.example.com 127.1 [::2]:8080 [::] 0.0.0.0:8080", "http://localhost:9090", false},
	} {
		for _, host := range strings.Fields(tt.hosts) {
			status, body := s.status(t, http.Header{"Host": {host}, "Origin": {tt.origin}})
			if ok := status == http.StatusSwitchingProtocols; ok != tt.ok {
				t.Errorf("%s at %s: got %d, %s", tt.origin, host, status, body)
			}
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	const host = "Example.com:8080"
	for _, tt := range []struct {
		patterns string
		origins  []string
		ok       bool
	}{
		{"", nil, true}, // not a browser
		{"", []string{"http://example.com:8080"}, true},
		{"", []string{"https://EXAMPLE.com:8080"}, true},
		{"", []string{"http://example.com"}, false},
		{"", []string{"http://example.com:80"}, false},
		{"", []string{"null"}, false},
		{"", []string{""}, false},
		{"", []string{"example.com:8080"}, false},
		{"", []string{"//"}, false},
		{"", []string{"http://"}, false},
		{"", []string{"http://%zz"}, false},
		{"", []string{"http://example.com:8080", "http://example.com:8080"}, false},
		{"", []string{"http://example.com:8080, http://evil.com"}, false},
		{"", []string{"http://evil.com#example.com:8080"}, false},
		{"", []string{"http://evil.com?example.com:8080"}, false},
		{"", []string{"http://evil.com/example.com:8080"}, false},
		{"", []string{"http://example.com:8080@evil.com"}, false},
		{"", []string{"http://evil.com\\@example.com:8080"}, false},
		{"", []string{"http://example.com:8080.evil.com"}, false},
		{"", []string{"http://evil-example.com:8080"}, false},
		{"", []string{"file://example.com:8080"}, false},
		{"", []string{"evil://example.com:8080"}, false},
		{"", []string{"ws://example.com:8080"}, false},
		{"", []string{"//example.com:8080"}, false},
		{"", []string{"http://evil@example.com:8080"}, false},
		{"", []string{"http://@example.com:8080"}, false},
		{"", []string{"http://evil.com:x@example.com:8080"}, false},
		{"", []string{"http://example.com:8080/"}, false},
		{"", []string{"http://example.com:8080/path"}, false},
		{"", []string{"http://example.com:8080?"}, false},
		{"", []string{"http://example.com:8080?q"}, false},
		{"", []string{"http://example.com:8080#"}, false},
		{"", []string{"http://example.com:8080#f"}, false},
		{"", []string{"http://ex%61mple.com:8080"}, false},
		{"", []string{"http:example.com:8080"}, false},
		{"*://example.com:8080", []string{"file://example.com:8080"}, true},

		{"good.com", []string{"http://good.com"}, true},
		{"good.com", []string{"https://GOOD.com"}, true},
		{"GOOD.com", []string{"https://good.com"}, true},
		{"good.com", []string{"https://good.com:444"}, false},
		{"good.com:*", []string{"https://good.com:444"}, true},
		{"good.com", []string{"null"}, false},
		{"good.com", []string{"http://evil@good.com"}, false},
		{"good.com", []string{"http://good.com/"}, false},
		{"good.com", []string{"http://good.com?x"}, false},
		{"good.com", []string{"http://evil.com#good.com"}, false},
		{"*.good.com", []string{"http://www.good.com"}, true},
		{"*.good.com", []string{"http://a.b.good.com"}, true},
		{"*.good.com", []string{"http://good.com"}, false},
		{"*.good.com", []string{"http://evil.com/.good.com"}, false},
		{"*.good.com", []string{"http://evilgood.com"}, false},
		{"*good.com", []string{"null"}, false},
		{"https://good.com", []string{"https://good.com"}, true},
		{"https://good.com", []string{"HTTPS://good.com"}, true},
		{"https://good.com", []string{"http://good.com"}, false},
		{"https://*.good.com", []string{"https://x.good.com"}, true},
		{"*://good.com", []string{"chrome-extension://good.com"}, true},
		{"a?.good.com", []string{"http://ab.good.com"}, true},
		{"a[bc].good.com", []string{"http://ac.good.com"}, true},
		{"a[bc].good.com", []string{"http://ad.good.com"}, false},
		{`good\.com`, []string{"http://good.com"}, true},
		{`good\.com`, []string{"http://goodxcom"}, false},
		{"bad.com good.com", []string{"http://good.com"}, true},
	} {
		s := serve(t, echoes, server.Options{OriginPatterns: strings.Fields(tt.patterns)})
		h := http.Header{"Host": {host}}
		if tt.origins != nil {
			h["Origin"] = tt.origins
		}
		got, body := s.status(t, h)
		want := http.StatusForbidden
		if tt.ok {
			want = http.StatusSwitchingProtocols
		}
		if got != want {
			t.Errorf("patterns %q, origins %q: got %d, want %d", tt.patterns, tt.origins, got, want)
		}
		if !tt.ok && !strings.Contains(strings.ToLower(body), "origin") {
			t.Errorf("patterns %q, origins %q: the sentence is %q", tt.patterns, tt.origins, body)
		}
	}
}

// TestNormalOrigins: the default port of the origin's scheme makes no difference (RFC
// 6454, sections 4 and 5). The case, the trailing dot of the root and the form of an IPv6
// address make no difference.
func TestNormalOrigins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host, patterns, origin string
		ok                     bool
	}{
		{"site.example:443", "", "https://site.example", true},
		{"site.example", "", "https://site.example:443", true},
		{"site.example:80", "", "http://site.example", true},
		{"site.example", "", "http://site.example:80", true},
		{"SITE.example:443", "", "HTTPS://Site.Example", true},
		{"site.example:80", "", "https://site.example", false},
		{"site.example:443", "", "http://site.example", false},
		{"site.example", "", "https://site.example:80", false},
		{"site.example.", "", "https://site.example", true},
		{"site.example.:443", "", "https://site.example", true},
		{"site.example", "", "https://site.example.", true},
		{"site.example", "", "https://site.example..", false},
		{"site.example:8443", "", "https://site.example", false},
		{"site.example:8443", "", "https://site.example:8443", true},
		{"[::1]:443", "", "https://[::1]", true},
		{"[::1]", "", "https://[0:0::1]:443", true},
		{"[::1]:3000", "", "http://[::1]:3000", true},
		{"[::1]:3000", "", "http://[::1]:3001", false},

		{"own.example", "https://page.example:443", "https://page.example", true},
		{"own.example", "https://page.example", "https://page.example:443", true},
		{"own.example", "https://page.example:80", "https://page.example", false},
		{"own.example", "http://page.example:80", "http://page.example", true},
		{"own.example", "page.example:443", "https://page.example", true},
		{"own.example", "page.example:443", "http://page.example:443", true},
		{"own.example", "page.example:443", "http://page.example", false},
		{"own.example", "*://page.example:443", "https://page.example", true},
		{"own.example", "*://page.example:443", "http://page.example", false},
		{"own.example", "page.example:*", "https://page.example", true},
		{"own.example", "page.example:*", "https://page.example:8443", true},
		{"own.example", "page.example:*", "https://page.example.evil.example", false},
		{"own.example", "page.example.", "https://page.example", true},
		{"own.example", "http://[::1]:3000", "http://[::1]:3000", true},
		{"own.example", "http://[::1]:3000", "http://:3000", false},
		{"own.example", "http://[::1]:3000", "http://1:3000", false},
		{"own.example", "[::1]", "http://[::1]", true},
		{"own.example", "[::1]", "http://[::2]", false},
		{"own.example", "[::1]", "http://1", false},
		{"own.example", "[::1]:*", "http://[::1]:3000", true},
		{"own.example", "https://[0:0::1]:443", "https://[::1]", true},

		{"own.example", "file://", "file://", true},
		{"own.example", "FILE://", "file://", true},
		{"own.example", "", "file://", false},
		{"own.example", "file://", "file://evil.example", false},
		{"own.example", "file://", "content://", false},
		{"own.example", "file://", "null", false},
		{"own.example", "file://", "https://", false},

		{"own.example", "app://", "app://.", true}, // of Electron's pages
		{"own.example", "app://.", "app://.", true},
		{"own.example", "app://.", "app://", true},
		{"own.example", "app://", "file://.", false},
		{"own.example", "app://", "app://..", false},
		{"own.example", "app://", "app://:80", false},
	} {
		s := serve(t, echoes, server.Options{OriginPatterns: strings.Fields(tt.patterns)})
		got, body := s.status(t, http.Header{"Host": {tt.host}, "Origin": {tt.origin}})
		want := http.StatusForbidden
		if tt.ok {
			want = http.StatusSwitchingProtocols
		}
		if got != want {
			t.Errorf("host %q, pattern %q, origin %q: got %d %s, want %d", tt.host, tt.patterns, tt.origin, got, body, want)
		}
	}
}

// TestEmptyHosts: an Origin or Host whose host is empty after normalisation matches no other
// host.
func TestEmptyHosts(t *testing.T) {
	t.Parallel()
	o := server.Options{OriginPatterns: []string{"https://good.example", "file://", "*:8080", "*.example"}, LocalOriginPatterns: []string{"app://"}}
	proxied := o
	proxied.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, s := range []*testServer{serve(t, echoes, server.Options{}), serve(t, echoes, o), serve(t, echoes, proxied)} {
		for _, host := range []string{"own.example", "", ".", "..", ":80", ":443", ".:80", ":8080", "[]", "/"} {
			for _, origin := range []string{
				"app://.", "ftp://.", "app://..", "http://.", "https://.", "http://..", "http://:80", "https://:443", "http://.:80", "https://.:443", "http://:8080",
				"http://.:8080", "https://:", "app://", "ftp://", "http://", "://", "null",
			} {
				header := http.Header{"Host": {host}, "Origin": {origin}, "X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}}
				if got, body := s.status(t, header); got == http.StatusSwitchingProtocols {
					t.Errorf("Host %q, origin %q: got %d %s", host, origin, got, body)
				}
			}
		}
	}
}

// TestAdmit: the server calls Admit only for handshakes that would succeed. Its error
// is the refusal, without the headers of an accepted handshake.
func TestAdmit(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	s := serve(t, echoes, server.Options{Subprotocols: []string{"chat"}, Admit: func(r *http.Request) (any, error) {
		asked.Add(1)
		switch r.URL.Path {
		case "/forbidden":
			return nil, errors.New("who are you?")
		case "/payment":
			return nil, fmt.Errorf("asking the bank: %w", &server.AdmitError{Status: http.StatusPaymentRequired, Err: errors.New("no credit")})
		case "/login":
			return nil, &server.AdmitError{Status: 401, Header: http.Header{"Www-Authenticate": {"Bearer"}}, Err: errors.New("no token")}
		case "/welcome": // some servers answer a handshake so
			return nil, &server.AdmitError{Status: http.StatusOK}
		case "/gone":
			return nil, &server.AdmitError{Status: http.StatusGone}
		case "/0", "/101", "/199", "/99999":
			status, _ := strconv.Atoi(r.URL.Path[1:])
			return nil, &server.AdmitError{Status: status, Err: errors.New("a wrong status")}
		}
		return nil, nil
	}})
	for _, tt := range []struct {
		path, origin string
		status       int
		body         string
		asked        int64
	}{
		{"", "", 101, "", 1},
		{"forbidden", "", 403, "who are you?\n", 2},
		{"payment", "", 402, "asking the bank: no credit\n", 3},
		{"login", "", 401, "no token\n", 4},
		{"0", "", 403, "a wrong status\n", 5},
		{"101", "", 403, "a wrong status\n", 6},
		{"199", "", 403, "a wrong status\n", 7},
		{"99999", "", 403, "a wrong status\n", 8},
		{"gone", "", 410, "Gone\n", 9},
		{"welcome", "", 200, "OK\n", 10},
		{"", "https://evil.example", 403, "", 10},
	} {
		header := http.Header{}
		if tt.origin != "" {
			header.Set("Origin", tt.origin)
		}
		p, err := wstest.Dial(s.url+tt.path, wstest.DialOptions{Header: header, Subprotocols: []string{"chat"}})
		status := http.StatusSwitchingProtocols
		if bad := (*wstest.HandshakeError)(nil); errors.As(err, &bad) {
			status = bad.Response.StatusCode
			if h := bad.Response.Header; h.Get("Sec-WebSocket-Accept")+h.Get("Sec-WebSocket-Protocol")+h.Get("Upgrade") != "" {
				t.Errorf("%q: the refusal has the headers %v", tt.path, h)
			} else if got := h.Get("WWW-Authenticate"); (got == "Bearer") != (status == 401) {
				t.Errorf("%q: the refusal has WWW-Authenticate: %q", tt.path, got)
			}
			if tt.body != "" && string(bad.Body) != tt.body {
				t.Errorf("%q: got %q, want %q", tt.path, bad.Body, tt.body)
			}
		} else if err != nil {
			t.Fatal(err)
		} else {
			_ = p.Close()
		}
		if n := asked.Load(); status != tt.status || n != tt.asked {
			t.Errorf("%q, origin %q: got %d after %d calls, want %d after %d", tt.path, tt.origin, status, n, tt.status, tt.asked)
		}
	}
}

func TestAnyOrigin(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{AllowAnyOrigin: true})
	for _, origin := range []string{"http://evil.com", "null", ""} {
		if got, body := s.status(t, http.Header{"Origin": {origin}}); got != http.StatusSwitchingProtocols {
			t.Errorf("%q: got %d, %s", origin, got, body)
		}
	}
}

func TestCheckOrigin(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{
		CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == "http://asked.com" },
	})
	for _, tt := range []struct {
		header http.Header
		want   int
	}{
		{http.Header{"Origin": {"http://asked.com"}}, 101},
		{http.Header{"Origin": {"http://evil.com"}}, 403},
		{http.Header{"Origin": {"null"}}, 403},
		{http.Header{"Host": {"own.com"}, "Origin": {"http://own.com"}}, 403}, // CheckOrigin decides alone
		{http.Header{}, 403},
		{http.Header{"Origin": {"http://asked.com", "http://asked.com"}}, 403},
	} {
		if got, _ := s.status(t, tt.header); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.header, got, tt.want)
		}
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		hosts, host string
		want        int
	}{
		{"", "anything", 101},
		{"example.com", "example.com", 101},
		{"example.com", "EXAMPLE.com", 101},
		{"example.com", "example.com:8080", 101},
		{"example.com:8080", "example.com:8080", 101},
		{"example.com:8080", "example.com", 421},
		{"example.com:8080", "example.com:80", 421},
		{"example.com", "www.example.com", 421},
		{"example.com", "evil.com", 421},
		{"a.com b.com", "b.com", 101},
		{"[::1]", "[::1]:8080", 101},
		{"[::1]", "[::1]", 101},
		{"::1", "[::1]:8080", 101},
		{"::1", "[::1]", 101},
		{"::1", "[::2]", 421},
		{"0:0::1", "[::1]", 101},
		{"[::1]:443", "[::1]", 101},
		{"site.example:443", "site.example", 101}, // behind a proxy with TLS
		{"site.example:80", "site.example", 101},
		{"site.example:443", "site.example:80", 421},
		{"site.example:443", "SITE.example.:443", 101},
		{"site.example.", "site.example", 101},
		{"site.example", "site.example.", 101},
		{"site.example", "site.example.:8080", 101},
		{"site.example:8080", "site.example", 421},
	} {
		s := serve(t, echoes, server.Options{Hosts: strings.Fields(tt.hosts)})
		if got, body := s.status(t, http.Header{"Host": {tt.host}}); got != tt.want {
			t.Errorf("hosts %q, Host %q: got %d %s, want %d", tt.hosts, tt.host, got, body, tt.want)
		}
	}
}
