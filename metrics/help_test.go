package metrics_test

import (
	"net/http/httptest"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func dial(t testing.TB, url string) *wstest.Peer {
	t.Helper()
	p, err := wstest.Dial(url, wstest.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// newHTTP serves s on an HTTP server of its own and returns its URL.
func newHTTP(t *testing.T, s *server.Server) string {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return "ws" + h.URL[len("http"):] + "/"
}
