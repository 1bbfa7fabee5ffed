package command

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/wsecho/ending"
	"example.com/wsecho/probe"
)

// A scrapedProbe is the result of a request for /probe.
type scrapedProbe struct {
	probe.Watched
	code    int    // exit code of wsecho probe
	verdict string // a sentence without its subject; "" for code 0
}

// judge returns the result of a probe that should have sent count pings. Each ping must
// have a reply, also if the probe ended before its timeout.
func judge(r probe.Watched, count int) scrapedProbe {
	r.Pings.Lost += r.Pings.Pending
	r.Pings.Pending = 0
	s := scrapedProbe{Watched: r, code: r.ExitCode()}
	if s.code != 0 {
		s.verdict, _ = verdict(r)
	} else if r.Pings.Received < count {
		s.code, s.verdict = exitLost, "the deadline has passed before all pings were sent"
		if r.End.By == ending.Peer {
			s.verdict = fmt.Sprintf("the server closed after %d of %d pings", r.Pings.Received, count)
		}
	}
	return s
}

// registry returns a registry with the metrics of a probe. No text of the server becomes a
// label. The names without websocket are those of blackbox_exporter. So are
// probe_websocket_status_code and probe_websocket_connection_upgraded.
func (s scrapedProbe) registry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	gauge := func(name, help string, value float64, labels prometheus.Labels) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels})
		g.Set(value)
		registry.MustRegister(g)
	}
	number := func(name, help string, value float64) { gauge(name, help, value, nil) }
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}

	number("probe_success", "1 if the connection was opened and closed normally, and each ping had a reply.", flag(s.code == 0))
	number("probe_duration_seconds", "Time of the whole probe.", s.Took.Seconds())
	number("probe_dns_lookup_time_seconds", "Time of the name lookup, 0 without one.", s.First.DNS.Seconds())
	if at, err := netip.ParseAddrPort(s.First.Remote); err == nil {
		protocol := 6.0
		if at.Addr().Unmap().Is4() {
			protocol = 4
		}
		number("probe_ip_protocol", "Version of IP, 4 or 6.", protocol)
	}
	if state := s.First.TLS; state != nil {
		earliest := slices.MinFunc(state.PeerCertificates, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		number("probe_ssl_earliest_cert_expiry", "Unix time at which the first of the server's certificates expires.", float64(earliest.NotAfter.Unix()))
		gauge("probe_tls_version_info", "1; the label has the version of TLS.", 1, prometheus.Labels{"version": tls.VersionName(state.Version)})
	}
	number("probe_websocket_status_code", "HTTP status of the opening handshake, 0 without a response.", float64(s.First.Status))
	number("probe_websocket_connection_upgraded", "1 if the connection became a WebSocket.", flag(s.Opened > 0))
	phase := func(name string, seconds float64) {
		gauge("probe_websocket_duration_seconds", "Time of each completed phase of opening the connection.", seconds, prometheus.Labels{"phase": name})
	}
	for _, step := range s.First.Steps {
		switch step.Step {
		case probe.Connect:
			phase("resolve", s.First.DNS.Seconds())
			phase("connect", max(0, step.Took-s.First.DNS).Seconds())
		case probe.TLS:
			phase("tls", step.Took.Seconds())
		case probe.Handshake:
			phase("upgrade", step.Took.Seconds())
		}
	}

	pings := s.Pings
	number("probe_websocket_pings_sent", "Pings that were sent.", float64(pings.Sent))
	number("probe_websocket_pongs_received", "Pings that had a reply, with the late ones.", float64(pings.Received))
	number("probe_websocket_pings_lost", "Pings without a reply at the end of the probe.", float64(pings.Lost))
	number("probe_websocket_pings_late", "Pings with a reply after the timeout.", float64(pings.Late))
	if pings.Received > 0 {
		number("probe_websocket_rtt_min_seconds", "Shortest round-trip time of a ping.", pings.Min.Seconds())
		number("probe_websocket_rtt_mean_seconds", "Mean round-trip time of the pings.", pings.Mean.Seconds())
		number("probe_websocket_rtt_max_seconds", "Longest round-trip time of a ping.", pings.Max.Seconds())
	}
	if pings.Received > 1 {
		number("probe_websocket_rtt_deviation_seconds", "Standard deviation of the round-trip times.", pings.Deviation.Seconds())
		number("probe_websocket_rtt_jitter_seconds", "Mean difference between the round-trip times of two replies in a row.", pings.Jitter.Seconds())
	}

	number("probe_websocket_exit_code", "Exit code of wsecho probe for this result.", float64(s.code))
	if s.Err != nil {
		gauge("probe_websocket_failure_info", "1; the label has the step that failed. Absent if a connection was opened.", 1, prometheus.Labels{"step": strings.ToLower(s.Err.Step.String())})
	}
	if s.End != nil {
		side := s.End.By.String()
		if side == "" {
			side = "unknown"
		}
		gauge("probe_websocket_ending_info", "1; the labels have the kind of ending and the side that began. Absent without a connection.", 1, prometheus.Labels{"kind": s.End.Kind.String(), "side": side})
		number("probe_websocket_close_code", "Close code that began the ending, 0 without one. Absent without a connection.", float64(s.End.Code))
	}
	return registry
}
