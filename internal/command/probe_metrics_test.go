package command

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/wsecho/ending"
	"example.com/wsecho/wstest"
)

// TestProbeMetrics checks the metrics of each way to end. Their labels have no other values
// than the closed sets.
func TestProbeMetrics(t *testing.T) {
	t.Parallel()
	answer := func(o wstest.AnswerOptions) func(*wstest.Peer) {
		return func(p *wstest.Peer) { _, _ = p.Answer(context.Background(), o) }
	}
	refuse := func(response string) func(*wstest.Peer) {
		return func(p *wstest.Peer) {
			if _, err := p.ReadRequest(); err == nil {
				_ = p.SendRaw([]byte(response))
			}
		}
	}
	serverTLS, clientTLS := wstest.TLS()
	for name, tt := range map[string]struct {
		handle     func(*wstest.Peer)
		raw        bool // without the opening handshake
		tls        *tls.Config
		parameters string
		want       string // lines, and patterns with ~
		absent     string
	}{
		"works": {handle: wstest.Echo, parameters: "count=2", want: `
			probe_success 1
			probe_dns_lookup_time_seconds 0
			probe_ip_protocol 4
			probe_websocket_status_code 101
			probe_websocket_connection_upgraded 1
			probe_websocket_duration_seconds{phase="resolve"} 0
			~probe_websocket_duration_seconds\{phase="connect"\} \d.*[1-9]
			~probe_websocket_duration_seconds\{phase="upgrade"\} \d.*[1-9]
			~probe_duration_seconds \d.*[1-9]
			probe_websocket_pings_sent 2
			probe_websocket_pongs_received 2
			probe_websocket_pings_lost 0
			probe_websocket_pings_late 0
			~probe_websocket_rtt_mean_seconds \d.*[1-9]
			probe_websocket_exit_code 0
			probe_websocket_ending_info{kind="closed",side="local"} 1
			probe_websocket_close_code 1000`, absent: `phase="tls"|ssl|failure`},
		"TLS": {handle: wstest.Echo, tls: serverTLS, want: `
			probe_success 1
			~probe_ssl_earliest_cert_expiry [1-9]
			probe_tls_version_info{version="TLS 1.3"} 1
			~probe_websocket_duration_seconds\{phase="tls"\} \d.*[1-9]`, absent: "failure"},
		"silent": {handle: answer(wstest.AnswerOptions{NoPong: true}), parameters: "count=2&timeout=4s", want: `
			probe_success 0
			probe_websocket_connection_upgraded 1
			probe_websocket_pings_sent 2
			probe_websocket_pongs_received 0
			probe_websocket_pings_lost 2
			probe_websocket_exit_code 6
			probe_websocket_ending_info{kind="closed",side="local"} 1`, absent: "rtt"},
		"no pong": {handle: answer(wstest.AnswerOptions{NoPong: true}), parameters: "count=50&timeout=4s", want: `
			probe_success 0
			probe_websocket_exit_code 6
			probe_websocket_ending_info{kind="no pong",side="local"} 1`},
		"going away": {handle: answering(1, func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1001, "bye")) }), want: `
			probe_success 0
			probe_websocket_exit_code 8
			probe_websocket_ending_info{kind="going away",side="peer"} 1
			probe_websocket_close_code 1001`, absent: "bye"},
		"another code": {handle: answering(1, func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(4711, "bye")) }), want: `
			probe_success 0
			probe_websocket_exit_code 7
			probe_websocket_ending_info{kind="peer code",side="peer"} 1
			probe_websocket_close_code 4711`},
		"FIN": {handle: answering(1, func(p *wstest.Peer) { _ = p.FIN() }), want: `
			probe_success 0
			probe_websocket_exit_code 9
			probe_websocket_ending_info{kind="abnormal",side="peer"} 1
			probe_websocket_close_code 0`},
		// A second ping could get the error in place of the reader.
		"RST": {handle: answering(1, func(p *wstest.Peer) { _ = p.RST() }), parameters: "count=2&interval=10s", want: `
			probe_success 0
			probe_websocket_exit_code 9
			probe_websocket_ending_info{kind="reset",side="peer"} 1`},
		"garbage": {handle: answering(1, func(p *wstest.Peer) { _ = p.Send(wstest.TextFrame("a").WithRsv(wstest.RSV2)) }), want: `
			probe_success 0
			probe_websocket_exit_code 10
			probe_websocket_ending_info{kind="protocol",side="local"} 1
			probe_websocket_close_code 1002`},
		"half a record of TLS": {handle: answering(1, func(p *wstest.Peer) {
			_, _ = p.NetConn().(*tls.Conn).NetConn().Write([]byte{23, 3, 3, 0, 50, 1})
			_ = p.CutTLS()
		}), tls: serverTLS, want: `
			probe_success 0
			probe_websocket_exit_code 9
			probe_websocket_ending_info{kind="truncated",side="network"} 1`},
		"not UTF-8": {handle: answering(1, func(p *wstest.Peer) { _ = p.Send(wstest.TextFrame("\xff")) }), want: `
			probe_success 0
			probe_websocket_exit_code 10
			probe_websocket_ending_info{kind="invalid utf-8",side="local"} 1
			probe_websocket_close_code 1007`},
		"early close": {handle: answering(1, func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1000, "")) }), parameters: "count=5", want: `
			probe_success 0
			probe_websocket_pongs_received 1
			probe_websocket_exit_code 6
			probe_websocket_ending_info{kind="normal",side="peer"} 1`},
		"no answer to the close frame": {handle: answer(wstest.AnswerOptions{NoClose: true}), parameters: "count=1", want: `
			probe_success 0
			probe_websocket_exit_code 7
			probe_websocket_ending_info{kind="closed",side="local"} 1`},
		"refused": {raw: true, handle: refuse("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\norigin"), want: `
			probe_success 0
			probe_websocket_status_code 403
			probe_websocket_connection_upgraded 0
			~probe_websocket_duration_seconds\{phase="connect"\} \d.*[1-9]
			probe_websocket_exit_code 5
			probe_websocket_failure_info{step="handshake"} 1`, absent: `ending|phase="upgrade"`},
		"TLS failed": {raw: true, handle: refuse("HTTP/1.1 400 Bad Request\r\n\r\n"), tls: &tls.Config{}, want: `
			probe_success 0
			probe_websocket_status_code 0
			probe_websocket_exit_code 4
			probe_websocket_failure_info{step="tls"} 1`, absent: `ending|ssl`},
		"stalled": {raw: true, handle: func(p *wstest.Peer) { _, _ = p.NetConn().Read(make([]byte, 1)); _, _ = p.End(waitLimit) }, parameters: "timeout=4s", want: `
			probe_success 0
			probe_websocket_exit_code 5
			probe_websocket_failure_info{step="handshake"} 1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var address string
			switch {
			case tt.raw:
				address = wstest.ServeRaw(t, nil, tt.handle)
				if tt.tls != nil { // the server has no TLS
					address = strings.Replace(address, "ws:", "wss:", 1)
				}
			case tt.tls != nil:
				address = wstest.ServeTLS(t, tt.handle)
			default:
				address = wstest.Serve(t, tt.handle)
			}
			probeURL := startProber(t, "127.0.0.1:*", func(p *prober) { p.config = clientTLS })
			status, body := scrape(t, probeURL, address+"/", tt.parameters, probeTimeoutField+":30")
			if status != http.StatusOK {
				t.Fatalf("%d: %s", status, body)
			}
			for line := range strings.Lines(strings.TrimSpace(tt.want)) {
				line = strings.TrimSpace(line)
				pattern, ok := strings.CutPrefix(line, "~")
				if !ok {
					pattern = regexp.QuoteMeta(line) + "$"
				}
				if !regexp.MustCompile("(?m)^" + pattern).MatchString(body) {
					t.Errorf("%s is missing in\n%s", line, body)
				}
			}
			if tt.absent != "" && regexp.MustCompile("(?m)^[^#].*("+tt.absent+")").MatchString(body) {
				t.Errorf("there is %s in\n%s", tt.absent, body)
			}
			checkLabels(t, body)
		})
	}
}

// answering answers n pings and then calls then.
func answering(n int, then func(*wstest.Peer)) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		for range n {
			f, err := p.Recv()
			if err != nil || f.Opcode != wstest.Ping || p.Send(wstest.PongFrame(string(f.Payload))) != nil {
				return
			}
		}
		then(p)
		_, _ = p.End(waitLimit)
	}
}

// checkLabels checks that each value of a label is one of a closed set.
func checkLabels(t *testing.T, metrics string) {
	t.Helper()
	sets := map[string][]string{
		"phase": {"resolve", "connect", "tls", "upgrade"}, "step": {"connect", "tls", "handshake"},
		"side": {"peer", "local", "network", "unknown"}, "version": {"TLS 1.2", "TLS 1.3"},
	}
	for k := ending.Normal; k <= ending.Unknown; k++ {
		sets["kind"] = append(sets["kind"], k.String())
	}
	for _, m := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(metrics, -1) {
		if !slices.Contains(sets[m[1]], m[2]) {
			t.Errorf("the label %s is outside its set", m[0])
		}
	}
}

// TestProbePage compares the table in docs/probe.md with the metrics.
func TestProbePage(t *testing.T) {
	t.Parallel()
	_, clientTLS := wstest.TLS()
	probeURL := startProber(t, "127.0.0.1:*", func(p *prober) { p.config = clientTLS })
	var all string
	for _, address := range []string{wstest.ServeTLS(t, wstest.Echo), wstest.ServeRaw(t, nil, func(*wstest.Peer) {})} {
		_, body := scrape(t, probeURL, address+"/", "count=2")
		all += body
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^# HELP (probe_\w+) (.*)\n# TYPE \w+ gauge\n(.*)`).FindAllStringSubmatch(all, -1) {
		var labels []string
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[3], -1) {
			labels = append(labels, l[1])
		}
		list := strings.Join(labels, ", ")
		if list != "" {
			list += " "
		}
		if row := "| `" + m[1] + "` | " + list + "| " + m[2] + " |"; !slices.Contains(got, row) {
			got = append(got, row)
		}
	}
	page, err := os.ReadFile("../../docs/probe.md")
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile("(?m)^\\| `probe_.*$").FindAllString(string(page), -1)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
