package metrics_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"example.com/wsecho/echo"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/metrics"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	testfull.Parallel(8, 4)
	os.Exit(wstest.VerifyNoLeaks(m))
}

// soon bounds each wait of a test. A test that passes never waits that long.
const soon = 30 * time.Second

func echoes(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }

// A testServer is a Server for one test.
type testServer struct {
	*server.Server
	url      string
	registry *prometheus.Registry // nil: without metrics
	stop     func() error         // drains the server and returns the result of Serve
}

// serve serves with metrics.
func serve(t testing.TB, h server.Handler, o server.Options, mo metrics.Options) *testServer {
	t.Helper()
	m := metrics.New(mo)
	o.Observer = m.Observer()
	s := servePlain(t, h, o)
	s.registry = prometheus.NewPedanticRegistry()
	s.registry.MustRegister(m)
	return s
}

func servePlain(t testing.TB, h server.Handler, o server.Options) *testServer {
	t.Helper()
	s, err := server.New(h, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return &testServer{Server: s, url: "ws://" + l.Addr().String() + "/", stop: stop}
}

// A scrape has the value of each time series. A histogram has its count under its name.
type scrape map[string]float64

func (s *testServer) scrape(t testing.TB) scrape {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := scrape{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += "," + l.GetValue()
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				all[name] = m.Counter.GetValue()
			case dto.MetricType_GAUGE:
				all[name] = m.Gauge.GetValue()
			default:
				all[name] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return all
}

// eventually waits until a scrape satisfies ok.
func (s *testServer) eventually(t testing.TB, what string, ok func(scrape) bool) scrape {
	t.Helper()
	for end := time.Now().Add(soon); ; time.Sleep(10 * time.Millisecond) {
		got := s.scrape(t)
		if ok(got) {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("not in time: %s: %v", what, got)
		}
	}
}

// TestChurn scrapes while connections begin, send messages and end in several ways. No
// counter ever decreases, and in the end each is exact.
func TestChurn(t *testing.T) {
	t.Parallel()
	// A connection that is parked, and one that ends in a drain, count too.
	s := serve(t, echoes, server.Options{ParkAfter: 5 * time.Millisecond}, metrics.Options{})
	var text, binary, textBytes, binaryBytes, conns, scrapes atomic.Int64
	const minScrapes = 20 // while the workers run
	workers, rounds := 8, testfull.N(40, 400)
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for n := 0; n < rounds || scrapes.Load() < minScrapes; n++ {
				p, err := wstest.Dial(s.url, wstest.DialOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				conns.Add(1)
				for range random.IntN(20) {
					b := make([]byte, random.IntN(300))
					f := wstest.BinaryFrame(b)
					messages, size := &binary, &binaryBytes
					if random.IntN(2) == 0 {
						f, messages, size = wstest.TextFrame(string(b)), &text, &textBytes
					}
					if err := p.Send(f); err != nil {
						t.Error(err)
					}
					if _, got, err := p.RecvMessage(); err != nil || len(got) != len(b) {
						t.Errorf("got %d bytes, %v, want %d", len(got), err, len(b))
					}
					messages.Add(1)
					size.Add(int64(len(b)))
				}
				switch random.IntN(3) {
				case 0:
					_ = p.Send(wstest.CloseFrame(1000, ""))
					_, _ = p.End(soon)
				case 1:
					_ = p.RST()
				}
				_ = p.Close()
			}
		})
	}
	over := make(chan struct{})
	go func() { defer close(over); running.Wait() }()
	last := scrape{}
	for done := false; !done; scrapes.Add(1) {
		select {
		case <-over:
			done = true
		default:
		}
		got := s.scrape(t)
		for name, v := range got {
			if strings.Contains(name, "_total") && v < last[name] {
				t.Fatalf("%s decreased from %v to %v", name, last[name], v)
			}
		}
		last = got
	}
	// A scrape during the end of a connection may have a part of its counts.
	var wrong []string
	defer func() {
		if len(wrong) > 0 {
			t.Logf("of the last scrape %s", strings.Join(wrong, "; "))
		}
	}()
	s.eventually(t, "each counter is exact", func(got scrape) bool {
		wrong = nil
		ended := 0.0
		for name, v := range got {
			if strings.HasPrefix(name, "wsecho_endings_total") {
				ended += v
			}
		}
		got["all endings"] = ended
		for name, want := range map[string]int64{
			"wsecho_connections":                   0,
			"wsecho_messages_total,in,text":        text.Load(),
			"wsecho_messages_total,out,text":       text.Load(),
			"wsecho_messages_total,in,binary":      binary.Load(),
			"wsecho_messages_total,out,binary":     binary.Load(),
			"wsecho_message_bytes_total,in,text":   textBytes.Load(),
			"wsecho_message_bytes_total,out,text":  textBytes.Load(),
			"wsecho_message_bytes_total,in,binary": binaryBytes.Load(),
			"wsecho_handshakes_total,accepted":     conns.Load(),
			"wsecho_handshake_duration_seconds":    conns.Load(),
			"wsecho_connection_duration_seconds":   conns.Load(),
			"all endings":                          conns.Load(),
		} {
			if got[name] != float64(want) {
				wrong = append(wrong, fmt.Sprintf("%s is %v, want %d", name, got[name], want))
			}
		}
		return len(wrong) == 0
	})
	t.Logf("%d scrapes, %d connections", scrapes.Load(), conns.Load())
}
