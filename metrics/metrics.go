// Package metrics is a Prometheus collector for package server.
//
//	m := metrics.New(metrics.Options{})
//	s, err := server.New(handler, server.Options{Observer: m.Observer()})
//	...
//	registry.MustRegister(m)
//
// The counters of messages and bytes are right while connections are open. A scrape reads
// the counts of each open connection, and a message costs nothing more. Nothing that a peer
// sends becomes a label, so the number of time series is fixed.
//
// docs/metrics.md lists the metrics. The histograms have native buckets for scrapes that
// negotiate them, and classic ones for the others.
package metrics

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
)

// Options configure a Metrics. The zero value is ready to use.
type Options struct {
	// Namespace is the first part of each name. "": wsecho. With another one, the dashboard
	// and the alerts in deploy need the same change.
	Namespace string
	// ConstLabels are added to each metric. Nil: none.
	ConstLabels prometheus.Labels
	// Budget returns the state of the memory budget of a handler, such as that of package
	// echo. It may be called concurrently. Nil: there are no metrics of a budget.
	Budget func() BudgetStats
}

// BudgetStats is the state of a memory budget. It has the fields of echo.BudgetStats, so
// that one can be converted to the other.
type BudgetStats struct {
	Limit   int64         // bytes
	Used    int64         // bytes that messages have acquired now
	Waiting int64         // messages that wait for memory now
	Waits   int64         // messages that have waited, and do not any more
	Waited  time.Duration // the sum of these waits
	Refused int64         // messages for which there was no memory
}

// Metrics is a prometheus.Collector for one or more Servers. Make it with [New]. It keeps
// its Servers in memory. Its methods may be called concurrently.
type Metrics struct {
	budget func() BudgetStats
	descs  descs

	accepted           prometheus.Counter
	refused            []prometheus.Counter // by server.Refusal
	handshakes         *prometheus.CounterVec
	handshakeDuration  prometheus.Histogram
	endings            *prometheus.CounterVec
	faultEndings       *prometheus.CounterVec // of those, the ones with an Outcome.Fault
	connectionDuration prometheus.Histogram
	pings, pongs       prometheus.Counter
	rtt                prometheus.Histogram

	mu      sync.Mutex
	servers []*server.Server
	drain   drain
}

// drain is the state of the latest drain.
type drain struct {
	step      server.DrainStep // 0: none
	open, cut int              // connections at its beginning, and those cut off
}

// New returns a Metrics. Register it with a prometheus.Registerer, and set its Observer in
// the Options of the Servers.
func New(o Options) *Metrics {
	if o.Namespace == "" {
		o.Namespace = "wsecho"
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: o.Namespace, Name: name, Help: help, ConstLabels: o.ConstLabels}
	}
	histogram := func(name, help string, classic []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: o.Namespace, Name: name, Help: help, ConstLabels: o.ConstLabels, Buckets: classic,
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  160,
			NativeHistogramMinResetDuration: time.Hour,
		})
	}
	m := &Metrics{
		budget: o.Budget,
		descs:  newDescs(o),

		handshakes: prometheus.NewCounterVec(counter("handshakes_total",
			"Requests that became a connection (accepted), or why they did not."), []string{"result"}),
		handshakeDuration: histogram("handshake_duration_seconds", "Time from the first byte of a handshake to its answer.", prometheus.ExponentialBuckets(0.0005, 4, 8)),
		endings: prometheus.NewCounterVec(counter("endings_total",
			"Connections that have ended, by kind and by the side that began."), []string{"kind", "side"}),
		faultEndings: prometheus.NewCounterVec(counter("fault_endings_total",
			"Connections that have ended and whose client had requested a fault, by kind and side."), []string{"kind", "side"}),
		connectionDuration: histogram("connection_duration_seconds", "Time from the handshake to the end of a connection.", []float64{0.1, 1, 10, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600}),
		pings:              prometheus.NewCounter(counter("pings_sent_total", "Pings sent to peers.")),
		pongs:              prometheus.NewCounter(counter("pongs_received_total", "Pongs received from peers.")),
		rtt:                histogram("ping_rtt_seconds", "Round-trip time of pings.", prometheus.ExponentialBuckets(0.0001, 2.5, 12)),
	}
	m.accepted = m.handshakes.WithLabelValues("accepted")
	for _, why := range server.Refusals() {
		m.refused = append(m.refused, m.handshakes.WithLabelValues(why.String()))
	}
	for _, k := range ending.Kinds() {
		m.endings.WithLabelValues(k.String(), side(k.By()))
		m.faultEndings.WithLabelValues(k.String(), side(k.By()))
	}
	return m
}

// side returns the value of the label side.
func side(s ending.Side) string {
	if s == ending.NoSide {
		return "unknown"
	}
	return s.String()
}

// Observer returns the Observer for the Options of a Server.
func (m *Metrics) Observer() *server.Observer {
	return &server.Observer{
		New: func(s *server.Server) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.servers = append(m.servers, s)
		},
		Accepted: func(_ *http.Request, took time.Duration) {
			m.accepted.Inc()
			m.handshakeDuration.Observe(took.Seconds())
		},
		Refused: func(_ *http.Request, why server.Refusal) { m.refused[why].Inc() },
		Ended: func(o server.Outcome) {
			m.endings.WithLabelValues(o.Kind.String(), side(o.By)).Inc()
			if o.Fault != "" {
				m.faultEndings.WithLabelValues(o.Kind.String(), side(o.By)).Inc()
			}
			m.connectionDuration.Observe(o.Ended.Sub(o.Since).Seconds())
		},
		PingSent: func(*server.Conn) { m.pings.Inc() },
		PongReceived: func(_ *server.Conn, rtt time.Duration) {
			m.pongs.Inc()
			if rtt > 0 {
				m.rtt.Observe(rtt.Seconds())
			}
		},
		Drain: func(step server.DrainStep, open int) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.drain.step = step
			switch step {
			case server.DrainBegun:
				m.drain.open = open
			case server.DrainCut:
				m.drain.cut = open
			}
		},
	}
}
