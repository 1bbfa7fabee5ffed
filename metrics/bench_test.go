package metrics_test

import (
	"sync"
	"testing"
	"time"

	"example.com/wsecho/metrics"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// BenchmarkEcho measures the cost of a message, without metrics, and with metrics and a
// scrape per second.
func BenchmarkEcho(b *testing.B) {
	const batch = 64
	var frames []wstest.Frame
	for range batch {
		frames = append(frames, wstest.TextFrame("hello"))
	}
	run := func(b *testing.B, s *testServer) {
		p, err := wstest.Dial(s.url, wstest.DialOptions{})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		for b.Loop() {
			if err := p.Send(frames...); err != nil {
				b.Fatal(err)
			}
			for range batch {
				if _, _, err := p.RecvMessage(); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/message")
	}
	b.Run("metrics=off", func(b *testing.B) { run(b, servePlain(b, echoes, server.Options{})) })
	b.Run("metrics=on", func(b *testing.B) {
		s := serve(b, echoes, server.Options{}, metrics.Options{})
		over := make(chan struct{})
		var scraping sync.WaitGroup
		scraping.Go(func() {
			for tick := time.Tick(time.Second); ; {
				select {
				case <-over:
					return
				case <-tick:
					s.scrape(b)
				}
			}
		})
		defer func() { close(over); scraping.Wait() }()
		run(b, s)
	})
}
