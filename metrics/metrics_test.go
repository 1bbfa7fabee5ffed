package metrics_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"example.com/wsecho/metrics"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestPings: the peer of one server answers pings. That of another one answers none, and
// is given up.
func TestPings(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	servers := map[bool]*testServer{}
	for _, silent := range []bool{true, false} {
		o := server.Options{PingInterval: interval, PingTimeout: interval, MaxMissed: 1000}
		if silent {
			o.MaxMissed = 1
		}
		servers[silent] = serve(t, echoes, o, metrics.Options{})
		p := dial(t, servers[silent].url)
		go func() {
			_, _ = p.Answer(t.Context(), wstest.AnswerOptions{NoPong: silent})
			_ = p.Close()
		}()
	}
	servers[true].eventually(t, "the silent peer is given up", func(got scrape) bool {
		return got["wsecho_ping_verdicts_total,missed"] >= 2 && got["wsecho_endings_total,no pong,local"] == 1 && got["wsecho_pongs_received_total"] == 0
	})
	s := servers[false]
	s.eventually(t, "pongs are there", func(got scrape) bool {
		return got["wsecho_pongs_received_total"] >= 3 && got["wsecho_ping_rtt_seconds"] >= 1 && got["wsecho_pings_sent_total"] >= 3 &&
			got["wsecho_ping_verdicts_total,answered"] >= 1
	})
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "wsecho_ping_rtt_seconds" {
			continue
		}
		h := f.Metric[0].Histogram
		if len(h.Bucket) == 0 || len(h.PositiveSpan) == 0 || h.GetSampleSum() <= 0 {
			t.Errorf("got %v, want classic and native buckets", h)
		}
	}
}

// TestWriteStall: a peer reads nothing. The stall is a gauge while it lasts, and is counted
// at its end.
func TestWriteStall(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{WriteTimeout: 3 * time.Second, PingInterval: -1}, metrics.Options{})
	p, err := wstest.Dial(s.url, wstest.DialOptions{RcvBuf: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	go func() {
		for p.Send(wstest.BinaryFrame(make([]byte, 1<<20))) == nil {
		}
	}()
	s.eventually(t, "a write waits", func(got scrape) bool { return got["wsecho_connections_write_stalled"] == 1 })
	got := s.eventually(t, "it has ended", func(got scrape) bool { return got["wsecho_endings_total,write stalled,local"] == 1 })
	if got["wsecho_write_stalls_total"] < 1 {
		t.Errorf("got %v", got)
	}
}

// TestLabels: whatever peers send, there are the same time series as before.
func TestLabels(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{Admit: func(r *http.Request) (any, error) {
		if r.URL.Path == "/no" {
			return nil, errors.New("refused: " + r.URL.RawQuery)
		}
		return nil, nil
	}, PerConn: func(r *http.Request) (*server.ConnOptions, error) {
		if r.URL.Path == "/fault" {
			return &server.ConnOptions{Fault: "<secret>"}, nil
		}
		return nil, nil
	}}, metrics.Options{Budget: func() metrics.BudgetStats { return metrics.BudgetStats{Limit: 5, Waited: 3 * time.Second} }})
	before := s.scrape(t)
	if before["wsecho_memory_budget_bytes"] != 5 || before["wsecho_memory_budget_wait_seconds_total"] != 3 {
		t.Errorf("budget: got %v", before)
	}
	_, err := wstest.Dial(s.url+"no?<secret>", wstest.DialOptions{})
	if err == nil {
		t.Error("a refused handshake was accepted")
	}
	for path, frame := range map[string]wstest.Frame{"any/path?q": wstest.CloseFrame(4321, "peer's own \xc3\xa9"), "2": wstest.CloseFrame(1000, "x"), "fault": {Fin: true, Opcode: 5}, "4": wstest.TextFrame("\xff")} {
		p, err := wstest.Dial(s.url+path, wstest.DialOptions{Header: http.Header{"Sec-WebSocket-Protocol": {"a"}}})
		if err != nil {
			t.Fatal(err)
		}
		_ = p.Send(frame)
		_, _ = p.End(soon)
		_ = p.Close()
	}
	after := s.eventually(t, "all have ended", func(got scrape) bool {
		return got["wsecho_endings_total,peer code,peer"] == 1 && got["wsecho_endings_total,normal,peer"] == 1 &&
			got["wsecho_endings_total,protocol,local"] == 1 && got["wsecho_endings_total,invalid utf-8,local"] == 1 &&
			got["wsecho_fault_endings_total,protocol,local"] == 1 && got["wsecho_handshakes_total,admit"] == 1
	})
	if got, want := slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if after["wsecho_fault_endings_total,normal,peer"] != 0 || after["wsecho_handshakes_total,accepted"] != 4 {
		t.Errorf("got %v", after)
	}
}

// TestDrain: the steps of a drain are visible while it lasts.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{DrainDelay: 2 * time.Second, DrainSpread: 4 * time.Second}, metrics.Options{})
	state := func(name string) func(scrape) bool {
		return func(got scrape) bool {
			sum := 0.0
			for _, s := range []string{"serving", "announced", "draining", "cut", "drained"} {
				sum += got["wsecho_drain_state,"+s]
			}
			return got["wsecho_drain_state,"+name] == 1 && sum == 1
		}
	}
	const peers = 20
	for range peers {
		p := dial(t, s.url)
		go func() { _, _ = p.Answer(context.Background(), wstest.AnswerOptions{}); _ = p.Close() }()
	}
	s.eventually(t, "it serves", func(got scrape) bool { return state("serving")(got) && got["wsecho_connections"] == peers })
	go func() { _ = s.stop() }()
	s.eventually(t, "it is announced", state("announced"))
	s.eventually(t, "some of the connections have ended", func(got scrape) bool {
		open := got["wsecho_connections"]
		return state("draining")(got) && got["wsecho_drain_connections"] == peers && open > 0 && open < peers
	})
	// A scrape collects the endings before the state, so the first one in this state may lack some.
	got := s.eventually(t, "it is over", func(got scrape) bool {
		return state("drained")(got) && got["wsecho_connections"] == 0 && got["wsecho_endings_total,drained,local"] == peers
	})
	if got["wsecho_drain_cut_connections"] != 0 {
		t.Errorf("got %v", got)
	}
}

// TestSeveralServers: one Metrics sums over its Servers. The namespace and the labels can be
// chosen.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Options{Namespace: "chat", ConstLabels: prometheus.Labels{"zone": "a"}})
	for range 2 {
		s, err := server.New(echoes, server.Options{Observer: m.Observer()})
		if err != nil {
			t.Fatal(err)
		}
		h := newHTTP(t, s)
		p := dial(t, h)
		t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
		if err := p.Send(wstest.TextFrame("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.RecvMessage(); err != nil {
			t.Fatal(err)
		}
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(m)
	for end := time.Now().Add(soon); ; time.Sleep(10 * time.Millisecond) {
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, f := range families {
			if !strings.HasPrefix(f.GetName(), "chat_") || f.Metric[0].Label[len(f.Metric[0].Label)-1].GetValue() != "a" {
				t.Errorf("got %v", f)
			}
			for _, m := range f.Metric {
				if f.GetType() != dto.MetricType_HISTOGRAM {
					values[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
		if values["chat_connections"] == 2 && values["chat_messages_total"] == 4 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("got %v", values)
		}
	}
}
