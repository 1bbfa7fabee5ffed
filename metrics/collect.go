package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/wsecho/server"
)

// descs are the metrics whose values are read at each scrape.
type descs struct {
	connections, late, stalled      *prometheus.Desc
	messages, bytes                 *prometheus.Desc
	verdicts, writeStalls           *prometheus.Desc
	drainState, drainOpen, drainCut *prometheus.Desc

	budgetLimit, budgetUsed, budgetWaiting *prometheus.Desc // nil without a budget
	budgetWaits, budgetWaited              *prometheus.Desc
	budgetRefused                          *prometheus.Desc
}

func newDescs(o Options) descs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(o.Namespace, "", name), help, labels, o.ConstLabels)
	}
	d := descs{
		connections: desc("connections", "Open connections."),
		late:        desc("connections_late", "Open connections whose pong is overdue."),
		stalled:     desc("connections_write_stalled", "Open connections with a write that waits for the peer."),
		messages:    desc("messages_total", "Complete messages, by direction and type.", "direction", "type"),
		bytes:       desc("message_bytes_total", "Bytes of message payload on the wire, by direction and type.", "direction", "type"),
		verdicts:    desc("ping_verdicts_total", "Pings by the verdict of the heartbeat when their timeout has passed.", "verdict"),
		writeStalls: desc("write_stalls_total", "Writes that have waited at least 20 ms for the peer."),
		drainState:  desc("drain_state", "1 for the current step of the shutdown, 0 for the others.", "state"),
		drainOpen:   desc("drain_connections", "Open connections at the beginning of the drain."),
		drainCut:    desc("drain_cut_connections", "Connections that were cut off at the end of the drain timeout."),
	}
	if o.Budget != nil {
		d.budgetLimit = desc("memory_budget_bytes", "Memory budget of long messages.")
		d.budgetUsed = desc("memory_budget_used_bytes", "Part of the memory budget in use.")
		d.budgetWaiting = desc("memory_budget_waiting_messages", "Messages that wait for memory now.")
		d.budgetWaits = desc("memory_budget_waits_total", "Messages that have waited for memory.")
		d.budgetWaited = desc("memory_budget_wait_seconds_total", "Time that messages have waited for memory.")
		d.budgetRefused = desc("memory_budget_refused_messages_total", "Messages that were refused for lack of memory.")
	}
	return d
}

// states are the values of the label of drain_state.
var states = map[server.DrainStep]string{
	0:                     "serving",
	server.DrainAnnounced: "announced",
	server.DrainBegun:     "draining",
	server.DrainCut:       "cut",
	server.DrainOver:      "drained",
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(ch)
	}
	d := &m.descs
	for _, desc := range []*prometheus.Desc{
		d.connections, d.late, d.stalled, d.messages, d.bytes, d.verdicts, d.writeStalls, d.drainState, d.drainOpen, d.drainCut,
		d.budgetLimit, d.budgetUsed, d.budgetWaiting, d.budgetWaits, d.budgetWaited, d.budgetRefused,
	} {
		if desc != nil {
			ch <- desc
		}
	}
}

// collectors returns the metrics that count events.
func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.handshakes, m.handshakeDuration, m.endings, m.faultEndings, m.connectionDuration, m.pings, m.pongs, m.rtt}
}

// Collect implements prometheus.Collector. It takes about half a microsecond for each open
// connection.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(ch)
	}
	m.mu.Lock()
	servers, drain := slices.Clone(m.servers), m.drain
	m.mu.Unlock()
	var t server.Totals
	for _, s := range servers {
		t.Add(s.Totals())
	}
	d := &m.descs
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	counter := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, v, labels...)
	}
	gauge(d.connections, float64(t.Open))
	gauge(d.late, float64(t.Late))
	gauge(d.stalled, float64(t.Stalled))
	for _, by := range []struct {
		typ string
		server.Traffic
	}{{"text", t.Text}, {"binary", t.Binary}} {
		counter(d.messages, float64(by.MessagesIn), "in", by.typ)
		counter(d.messages, float64(by.MessagesOut), "out", by.typ)
		counter(d.bytes, float64(by.BytesIn), "in", by.typ)
		counter(d.bytes, float64(by.BytesOut), "out", by.typ)
	}
	for _, by := range []struct {
		verdict string
		pings   uint64
	}{
		{"answered", t.Pings.Answered},
		{"late", t.Pings.Late},
		{"missed", t.Pings.Missed},
		{"unread", t.Pings.Unread},
		{"write stalled", t.Pings.Stalled},
	} {
		counter(d.verdicts, float64(by.pings), by.verdict)
	}
	counter(d.writeStalls, float64(t.WriteStalls))
	for step, name := range states {
		v := 0.0
		if step == drain.step {
			v = 1
		}
		gauge(d.drainState, v, name)
	}
	gauge(d.drainOpen, float64(drain.open))
	gauge(d.drainCut, float64(drain.cut))
	if m.budget != nil {
		b := m.budget()
		gauge(d.budgetLimit, float64(b.Limit))
		gauge(d.budgetUsed, float64(b.Used))
		gauge(d.budgetWaiting, float64(b.Waiting))
		counter(d.budgetWaits, float64(b.Waits))
		counter(d.budgetWaited, b.Waited.Seconds())
		counter(d.budgetRefused, float64(b.Refused))
	}
}
