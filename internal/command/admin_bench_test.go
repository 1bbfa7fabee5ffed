package command

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// BenchmarkConnections asks for /connections while 10,000 connections are open. It takes
// 20,000 open files; with fewer, there are fewer connections.
func BenchmarkConnections(b *testing.B) {
	const most = 10_000
	s, url, _ := startAdmin(b, server.Options{MaxConns: -1, ParkAfter: time.Second})
	peers := make([]*wstest.Peer, 0, most)
	for range most {
		p, err := wstest.Dial(url, wstest.DialOptions{})
		if err != nil {
			b.Logf("only %d connections: %v", len(peers), err)
			break
		}
		b.Cleanup(func() { _ = p.Close() })
		if err := p.Send(wstest.TextFrame("x")); err != nil {
			b.Fatal(err)
		}
		peers = append(peers, p)
	}
	for _, p := range peers {
		if _, _, err := p.RecvMessage(); err != nil {
			b.Fatal(err)
		}
	}
	h := adminHandler(s, nil, nil, slog.New(slog.DiscardHandler))
	for _, query := range []string{"", "?sort=-bytes&limit=500", "?sort=remote&limit=500", "?sort=-since&limit=500"} {
		b.Run("connections"+query, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/connections"+query, nil))
				if w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
				size = w.Body.Len()
			}
			b.ReportMetric(float64(size), "answer-bytes")
			b.ReportMetric(float64(s.Count()), "conns")
		})
	}
}
