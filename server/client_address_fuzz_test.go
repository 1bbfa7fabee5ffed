package server

import (
	"net/http"
	"net/netip"
	"testing"
)

// FuzzForwarded checks that a client cannot hide the entry that the proxy appends. It
// tries the same field and others.
func FuzzForwarded(f *testing.F) {
	for _, sent := range []string{"", "for=198.51.100.1", `for="198.51.100.1`, `for="a\`, `"\"`, ",", `\`, `x="a, for=b`, "10.0.0.1, 10.0.0.2", "unknown"} {
		f.Add(sent)
	}
	s := &Server{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	peer := netip.MustParseAddrPort("10.0.0.1:80")
	f.Fuzz(func(t *testing.T, sent string) {
		for field, appended := range map[string][]string{
			"Forwarded":       {"for=203.0.113.7", `For="203.0.113.7:4711";proto=https`, `by=_a;for="203.0.113.7"`},
			"X-Forwarded-For": {"203.0.113.7", "203.0.113.7:4711"},
		} {
			for _, entry := range appended {
				for _, h := range []http.Header{{field: {sent + ", " + entry}}, {field: {sent, entry}}, {field: {sent + "," + entry + ", "}}} {
					got, _, refused := s.forwarded(h, peer)
					if got.Addr().String() != "203.0.113.7" || refused != nil {
						t.Errorf("%q: got %v, %v, want 203.0.113.7", h, got, refused)
					}
				}
			}
		}
	})
}
