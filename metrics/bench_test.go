package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/wsecho/metrics"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// BenchmarkScrape scrapes a server over HTTP while 10,000 connections are open. It takes
// 20,000 open files; with fewer, there are fewer connections.
func BenchmarkScrape(b *testing.B) {
	const most = 10_000
	s := serve(b, echoes, server.Options{MaxConns: -1, ParkAfter: time.Second}, metrics.Options{})
	peers := make([]*wstest.Peer, 0, most)
	for range most {
		p, err := wstest.Dial(s.url, wstest.DialOptions{})
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
	h := promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if r.Code != http.StatusOK {
			b.Fatal(r.Code, r.Body)
		}
	}
	b.ReportMetric(float64(s.Count()), "conns")
}
