package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// FuzzOriginPattern checks that New accepts only patterns that can match. The origin that
// a literal pattern names passes our check and coder's.
func FuzzOriginPattern(f *testing.F) {
	for _, p := range []string{
		"example.com", "EXAMPLE.com.", "example.com:8080", "https://example.com:443", "http://example.com:443", "*.example.com:*",
		"https://[::1]:3000", "[0:0::1]", "a[bc].example", `good\.com`, "file://", "capacitor://localhost", "127.0.0.1:80", "127.1",
		"wss://a", "null", "://x", "https://", "https://user@a", "a.example:99999", "bücher.example", "[fe80::1%eth0]", "a b", "::1",
		"https://a.example/", "*", "https://*", "a..b", "..", "-", "_", "1.2.3.4.", "0x7f.1", "http+unix://a", "a:*", "a:8*", "app://.", "*:443",
	} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		if checkPattern("OriginPatterns", pattern) != nil {
			return
		}
		scheme, host, ok := strings.Cut(pattern, "://")
		if !ok {
			scheme, host = "https", pattern
		}
		literal := !strings.ContainsAny(scheme+host, `*?\`)
		if name, _ := splitPort(host); strings.Contains(scheme+name, "[") {
			_, address := ipv6(strings.ToLower(name))
			literal = literal && address && !strings.Contains(scheme, "[")
		}
		origin := "https://origin.example"
		if literal {
			origin = scheme + "://" + host
		}
		s, err := New(func(context.Context, *Conn) error { return nil }, Options{OriginPatterns: []string{pattern}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "http://own.example/", nil)
		r.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Origin": {origin},
		}
		normal, refusal := s.checkOrigin(r)
		if refusal != nil {
			t.Fatalf("pattern %q, origin %q: %v", pattern, origin, refusal.reason)
		}
		w := httptest.NewRecorder() // it cannot be hijacked, so coder's answer is 501 if the origin is allowed
		_, err = websocket.Accept(w, normal, &websocket.AcceptOptions{OriginPatterns: s.originPatterns})
		if err == nil || strings.Contains(err.Error(), "pattern") || literal && w.Code != http.StatusNotImplemented {
			t.Errorf("pattern %q, origin %q: coder answers %d, %v", pattern, origin, w.Code, err)
		}
	})
}
