package server_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func prefixes(tb testing.TB, list ...string) (all []netip.Prefix) {
	tb.Helper()
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// TestTrustedProxies sends the fields of a proxy from a trusted and from another address.
// From another address they must change nothing. The trusted proxies are 127.0.0.0/8,
// 10.0.0.0/8 and fd00::/8.
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	type seen struct{ remote, scheme string }
	admitted := make(chan seen, 1)
	admit := func(r *http.Request) (any, error) {
		admitted <- seen{r.RemoteAddr, server.Scheme(r)}
		return nil, nil
	}
	trusting := serve(t, echoes, server.Options{Admit: admit, TrustedProxies: prefixes(t, "127.0.0.0/8", "::ffff:10.0.0.0/104", "fd00::/8")})
	others := serve(t, echoes, server.Options{Admit: admit, TrustedProxies: prefixes(t, "127.0.0.9/32", "192.0.2.0/24", "203.0.113.0/24")})
	const peer = "the peer"
	h := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h[pairs[i]] = append(h[pairs[i]], pairs[i+1])
		}
		return h
	}
	const xff, fwd, proto = "X-Forwarded-For", "Forwarded", "X-Forwarded-Proto"
	for _, tt := range []struct {
		header http.Header
		client string // "" for a refusal
		scheme string
	}{
		{h(), peer, "http"},
		{h("X-Real-Ip", "203.0.113.7", "X-Forwarded-Host", "evil.example"), peer, "http"},

		{h(xff, "203.0.113.7"), "203.0.113.7:0", "http"},
		{h(xff, "203.0.113.7", proto, "https"), "203.0.113.7:0", "https"},
		{h(xff, "203.0.113.7", proto, "wss"), "203.0.113.7:0", "https"},
		{h(xff, "203.0.113.7", proto, "gopher"), "203.0.113.7:0", "http"},
		{h(proto, "HTTPS"), peer, "https"},
		{h(xff, "203.0.113.7:4711"), "203.0.113.7:4711", "http"},
		{h(xff, "2001:db8::7"), "[2001:db8::7]:0", "http"},
		{h(xff, "[2001:db8::7]"), "[2001:db8::7]:0", "http"},
		{h(xff, "[2001:db8::7]:4711"), "[2001:db8::7]:4711", "http"},
		{h(xff, "::ffff:203.0.113.7"), "203.0.113.7:0", "http"},
		{h(xff, "::ffff:10.0.0.2, 203.0.113.7, ::ffff:10.0.0.3"), "203.0.113.7:0", "http"},

		// A client has sent the entries to the left.
		{h(xff, "198.51.100.1, 203.0.113.7"), "203.0.113.7:0", "http"},
		{h(xff, "10.0.0.9, 203.0.113.7"), "203.0.113.7:0", "http"},
		{h(xff, "198.51.100.1", xff, "203.0.113.7"), "203.0.113.7:0", "http"},
		{h(xff, "198.51.100.1,\t203.0.113.7 , ,"), "203.0.113.7:0", "http"},
		{h(xff, "junk, 203.0.113.7"), "203.0.113.7:0", "http"},
		// Several trusted proxies.
		{h(xff, "198.51.100.1, 203.0.113.7, 10.0.0.2, 10.0.0.3"), "203.0.113.7:0", "http"},
		{h(xff, "198.51.100.1, 203.0.113.7", xff, "fd00::2", xff, "10.0.0.3:80"), "203.0.113.7:0", "http"},
		{h(xff, "10.0.0.4, 10.0.0.3"), "10.0.0.4:0", "http"}, // all are trusted
		{h(xff, "203.0.113.7, 10.0.0.2", proto, "https, http"), "203.0.113.7:0", "https"},
		{h(xff, "203.0.113.7, 10.0.0.2", proto, "http, https, http"), "203.0.113.7:0", "https"},
		{h(xff, "203.0.113.7, 10.0.0.2", proto, "https"), "203.0.113.7:0", "https"},
		{h(xff, "203.0.113.7", proto, "http, https"), "203.0.113.7:0", "https"},
		// An entry without an address: the machine that has appended it is the client.
		{h(xff, "unknown"), peer, "http"},
		{h(xff, ""), peer, "http"},
		{h(xff, "203.0.113.7, unknown"), peer, "http"},
		{h(xff, "203.0.113.7, junk, 10.0.0.2"), "10.0.0.2:0", "http"},
		{h(xff, "203.0.113.7:99999"), peer, "http"},
		{h(xff, "203.0.113.7:"), peer, "http"},
		{h(xff, "[203.0.113.7]"), peer, "http"},
		{h(xff, "[2001:db8::7"), peer, "http"},
		{h(xff, "fe80::1%eth0"), peer, "http"},
		{h(xff, "203.0.113.007"), peer, "http"},

		{h(fwd, "for=203.0.113.7"), "203.0.113.7:0", "http"},
		{h(fwd, "For=203.0.113.7;Proto=https;by=10.0.0.1;host=example.com"), "203.0.113.7:0", "https"},
		{h(fwd, `for="203.0.113.7:4711"`), "203.0.113.7:4711", "http"},
		{h(fwd, `for="[2001:db8::7]"`), "[2001:db8::7]:0", "http"},
		{h(fwd, `for="[2001:db8::7]:4711"; proto="https"`), "[2001:db8::7]:4711", "https"},
		{h(fwd, `for=[2001:db8::7]:4711`), "[2001:db8::7]:4711", "http"},
		{h(fwd, `for="203.0.113.7:_secret"`), "203.0.113.7:0", "http"},
		{h(fwd, `for="20\3.0.113.7"`), "203.0.113.7:0", "http"},
		{h(fwd, "for=198.51.100.1;proto=https, for=203.0.113.7;proto=http, for=10.0.0.2;proto=https"), "203.0.113.7:0", "http"},
		{h(fwd, "for=198.51.100.1", fwd, "for=203.0.113.7, for=10.0.0.2"), "203.0.113.7:0", "http"},
		{h(fwd, "for=unknown"), peer, "http"},
		{h(fwd, "for=_hidden, for=10.0.0.2"), "10.0.0.2:0", "http"},
		{h(fwd, "for=_hidden;proto=https"), peer, "https"},
		{h(fwd, "proto=https"), peer, "https"},
		{h(fwd, "for=203.0.113.7;for=198.51.100.1"), peer, "http"},
		{h(fwd, "for"), peer, "http"},
		{h(fwd, "for=203.0.113.7 proto=https"), peer, "http"},
		// A client has left a quote open, or escaped one.
		{h(fwd, `for="198.51.100.1, for=203.0.113.7`), "203.0.113.7:0", "http"},
		{h(fwd, `for="198.51.100.1, for="[2001:db8::7]:4711"`), "[2001:db8::7]:4711", "http"},
		{h(fwd, `for="198.51.100.1\, for="203.0.113.7"`), "203.0.113.7:0", "http"},
		{h(fwd, `x="a, for=198.51.100.1, \"b";for=203.0.113.7`), "203.0.113.7:0", "http"},

		// The proxy sets one of the fields, and a client has sent the other.
		{h(fwd, "for=203.0.113.7", xff, "203.0.113.7"), "203.0.113.7:0", "http"},
		{h(fwd, `for="203.0.113.7:4711";proto=https`, xff, "203.0.113.7", proto, "https"), "203.0.113.7:4711", "https"},
		{h(fwd, "for=203.0.113.7", xff, "198.51.100.1"), "", ""},
		{h(fwd, "for=unknown", xff, "203.0.113.7"), "", ""},
		{h(fwd, "junk", xff, "203.0.113.7"), "", ""},
		{h(fwd, "for=203.0.113.7;proto=http", xff, "203.0.113.7", proto, "https"), "", ""},
		{h(fwd, "for=203.0.113.7;proto=http", proto, "https"), "", ""},
	} {
		for _, s := range []*testServer{trusting, others} {
			header := tt.header.Clone()
			p, err := wstest.Dial(s.url, wstest.DialOptions{Header: header})
			wantClient, wantScheme := tt.client, tt.scheme
			if s == others {
				wantClient, wantScheme = peer, "http"
			}
			if wantClient == "" {
				if status, text := s.status(t, header); status != http.StatusBadRequest || !strings.Contains(text, "Forwarded and X-Forwarded-") {
					t.Errorf("%v: got %d, %q, want 400 and the names of both fields", tt.header, status, text)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%v: %v", tt.header, err)
			}
			if wantClient == peer {
				wantClient = p.NetConn().LocalAddr().String()
			}
			got := <-admitted
			if got.remote != wantClient || got.scheme != wantScheme {
				t.Errorf("%v, trusted: %v: got the client %s with %s, want %s with %s", tt.header, s == trusting, got.remote, got.scheme, wantClient, wantScheme)
			}
			_ = p.Close()
			if end := s.end(t); end.RemoteAddr != wantClient || (end.Proxy != "") != (end.RemoteAddr != p.NetConn().LocalAddr().String()) {
				t.Errorf("%v: the outcome has the client %s and the proxy %q, want %s", tt.header, end.RemoteAddr, end.Proxy, wantClient)
			}
		}
	}
}

// TestClientAddressUses checks the log, Connections, the limit of each client and refusals.
func TestClientAddressUses(t *testing.T) {
	t.Parallel()
	log := new(logBuffer)
	refused := make(chan string, 10)
	s := serve(t, echoes, server.Options{
		TrustedProxies: prefixes(t, "127.0.0.0/8"),
		MaxConnsPerIP:  1,
		Logger:         slog.New(slog.NewTextHandler(log, nil)),
		OnRefuse:       func(r *http.Request, _ int, _ error) { refused <- r.RemoteAddr },
	})
	from := func(client string) http.Header {
		return http.Header{"X-Forwarded-For": {client}, "X-Forwarded-Proto": {"https"}}
	}
	first := s.dial(t, wstest.DialOptions{Header: from("203.0.113.7")})
	if status, _ := s.status(t, from("203.0.113.7")); status != http.StatusServiceUnavailable {
		t.Errorf("the second connection of a client gets %d, want 503", status)
	}
	if got := <-refused; got != "203.0.113.7:0" {
		t.Errorf("OnRefuse got the client %s", got)
	}
	if status, _ := s.status(t, from("203.0.113.8")); status != http.StatusSwitchingProtocols {
		t.Errorf("another client behind the same proxy gets %d, want 101", status)
	}
	s.end(t)
	eventually(t, "the ended connection is gone", func() bool { return s.Count() == 1 }) // OnEnd precedes it
	found := 0
	for i := range s.Connections() {
		if found++; i.RemoteAddr != "203.0.113.7:0" || i.Proxy != first.NetConn().LocalAddr().String() {
			t.Errorf("Connections has the client %s and the proxy %s", i.RemoteAddr, i.Proxy)
		}
	}
	if found != 1 {
		t.Errorf("%d connections are open, want 1", found)
	}
	_ = first.Close()
	s.end(t)
	// A page of http is a different origin if the client has connected with TLS.
	for scheme, want := range map[string]int{"https": 101, "http": 403} {
		h := from(map[string]string{"https": "203.0.113.9", "http": "203.0.113.10"}[scheme])
		h.Set("Origin", scheme+"://example.com")
		h.Set("Host", "example.com")
		if status, text := s.status(t, h); status != want {
			t.Errorf("origin %s://example.com gets %d, %s, want %d", scheme, status, text, want)
		}
	}
	eventually(t, "the log has the client and the proxy", func() bool {
		return strings.Contains(log.String(), "remote=203.0.113.7:0 ") && strings.Contains(log.String(), " proxy=127.0.0.1:") &&
			strings.Contains(log.String(), "scheme=https") && strings.Contains(log.String(), "msg=refused remote=203.0.113.7:0 status=503")
	})
}

// TestTrustUnixSockets checks that the fields are believed on a unix socket only with that
// option.
func TestTrustUnixSockets(t *testing.T) {
	t.Parallel()
	for _, trust := range []bool{false, true} {
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Skip("this system has no unix sockets: ", err)
		}
		s := serveOn(t, l, echoes, server.Options{TrustUnixSockets: trust, TrustedProxies: prefixes(t, "0.0.0.0/0", "::/0")})
		conn, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		p := wstest.Client(conn)
		h := http.Header{"X-Forwarded-For": {"203.0.113.7"}}
		if err := p.SendRaw(wstest.Request("ws://example.com/", wstest.SampleKey, h)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the connection is open", func() bool { return s.Count() == 1 })
		for i := range s.Connections() {
			if got := i.RemoteAddr == "203.0.113.7:0"; got != trust {
				t.Errorf("trusted: %v: the client is %q", trust, i.RemoteAddr)
			}
		}
		_ = p.Close()
	}
}

// TestTrustedProxiesElsewhere checks another HTTP server, and the values of its context.
func TestTrustedProxiesElsewhere(t *testing.T) {
	t.Parallel()
	type key struct{}
	got := make(chan string, 1)
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		text, _ := ctx.Value(key{}).(string)
		got <- c.RemoteAddr() + " " + text
		return nil
	}, server.Options{TrustedProxies: prefixes(t, "127.0.0.0/8")})
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "value")))
	}))
	defer hs.Close()
	p, err := wstest.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), wstest.DialOptions{Header: http.Header{"Forwarded": {"for=203.0.113.7"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if g := <-got; g != "203.0.113.7:0 value" {
		t.Errorf("the handler got %q", g)
	}
	if _, err := p.End(soon); err != nil {
		t.Error(err)
	}
}

func TestTrustedProxiesWrong(t *testing.T) {
	_, err := server.New(echoes, server.Options{TrustedProxies: []netip.Prefix{{}}})
	if err == nil || !strings.Contains(err.Error(), "TrustedProxies") {
		t.Errorf("got %v, want an error that names the option", err)
	}
}

// TestUntrustedHint checks that one line says how to trust a proxy, however often the fields
// of one are sent.
func TestUntrustedHint(t *testing.T) {
	t.Parallel()
	log := new(logBuffer)
	s := serve(t, echoes, server.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	for range 3 {
		if status, _ := s.status(t, http.Header{"X-Forwarded-For": {"203.0.113.7"}}); status != http.StatusSwitchingProtocols {
			t.Errorf("got %d", status)
		}
		s.end(t)
	}
	if n := strings.Count(log.String(), "--trusted-proxy=127.0.0.1)"); n != 1 {
		t.Errorf("%d lines have the flag, want 1:\n%s", n, log)
	}
}
