package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"example.com/wsecho/wstest"
)

// BenchmarkAdmin sends requests to --admin-addr of the command, which has 10,000 open
// connections. The times include the HTTP client, which is in this process.
func BenchmarkAdmin(b *testing.B) {
	needFiles(b, manyPeers+500)
	p := startFor(b, build(b), "--admin-addr=127.0.0.1:0", "--max-conns=10000", "--ping-interval=5m")
	addr := p.adminAddr(b)
	for _, peer := range connect(b, p, manyPeers) {
		if err := peer.Send(wstest.TextFrame("x")); err != nil {
			b.Fatal(err)
		}
		if _, _, err := peer.RecvMessage(); err != nil {
			b.Fatal(err)
		}
	}
	for _, path := range []string{"/metrics", "/connections", "/connections?sort=-bytes&limit=500", "/connections?sort=remote&limit=500", "/connections?sort=-since&limit=500"} {
		b.Run(path[1:], func(b *testing.B) {
			size := int64(0)
			for b.Loop() {
				size = download(b, "http://"+addr+path)
			}
			b.ReportMetric(float64(size), "answer-bytes")
		})
	}
	metrics, err := fetch("http://" + addr + "/metrics")
	if want := fmt.Sprintf("\nwsecho_connections %d\n", manyPeers); err != nil || !bytes.Contains(metrics, []byte(want)) {
		b.Errorf("got %v and %.1000s, want%s", err, metrics, want)
	}
	p.stop(b)
}

// download returns the size of an answer, as Prometheus and browsers request it.
func download(b *testing.B, url string) int64 {
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header = http.Header{"Accept": {"application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}, "Accept-Encoding": {"gzip"}}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		b.Fatal(answer.Status, err)
	}
	return n
}
