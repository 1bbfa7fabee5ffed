package command

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/probe"
	"example.com/wsecho/wstest"
)

// answerOnce is a server that answers one ping and then calls then.
func answerOnce(then func(*wstest.Peer)) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if f, err := p.Recv(); err == nil && p.Send(wstest.PongFrame(string(f.Payload))) == nil {
			then(p)
			_, _ = p.End(waitLimit)
		}
	}
}

// A probeCase is a server, and what wsecho probe says of it.
type probeCase struct {
	url            string
	args           []string
	code           int
	stdout, stderr string // patterns
}

// probeCases returns one or more servers for each exit code.
func probeCases(t *testing.T) map[string]probeCase {
	closes := func(code uint16, reason string) string {
		return wstest.Serve(t, answerOnce(func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(code, reason)) }))
	}
	answers := func(o wstest.AnswerOptions) string {
		return wstest.Serve(t, func(p *wstest.Peer) { _, _ = p.Answer(context.Background(), o) })
	}
	refuses := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		if _, err := p.ReadRequest(); err == nil {
			_ = p.SendRaw([]byte("HTTP/1.1 301 x\r\nLocation: https://b.example/\r\nContent-Length: 5\r\n\r\nmoved"))
			_, _ = p.End(waitLimit)
		}
	})
	one := []string{"--count=1"}
	return map[string]probeCase{
		"count":      {wstest.Serve(t, wstest.Echo), []string{"--count=3"}, 0, `^connected to 127\.0\.0\.1:\d+: TCP .* µs|ms, upgrade .*\npong 1: .*\npong 2: .*\npong 3: .*\n\nws://.*\npings    sent 3, received 3, lost 0 \(0 %\), late 0\nRTT      min .*, mean .*, max .*, deviation .*, jitter .*\n         p50 .*, p90 .*, p99 .*, p99\.9 .*\npongs    source not known: .* without --echo\nended    closed by this side, code 1000, after .*\n$`, `^$`},
		"echo":       {wstest.Serve(t, wstest.Echo), []string{"--count=2", "--echo=only"}, 0, `\necho 1: .*\necho 2: (.*\n)*echoes   sent 2, received 2(.*\n)*pongs    by the server: each pong came between`, `^$`},
		"quiet":      {wstest.Serve(t, wstest.Echo), []string{"--count=2", "--quiet"}, 0, `^\nws://.*\npings    sent 2`, `^$`},
		"normal":     {closes(1000, "done"), nil, 0, `\nended    normal by the server, code 1000, reason "done", after .*\n$`, `^$`},
		"connect":    {"ws://127.0.0.1:1/", nil, 3, `^$`, `^wsecho: error: ws://127\.0\.0\.1:1/: cannot connect: .*\n$`},
		"TLS":        {wstest.ServeTLS(t, wstest.Echo), nil, 4, `^$`, `^wsecho: error: wss://.*: TLS failed: .*certificate.*\nwsecho: hint: --ca=FILE .*\n$`},
		"handshake":  {refuses, nil, 5, `^$`, `^wsecho: error: ws://.*: did not open a WebSocket: the answer is 301 Moved Permanently, to "https://b\.example/": "moved"\n$`},
		"lost":       {answers(wstest.AnswerOptions{NoPong: true}), []string{"--count=1", "--timeout=4s"}, 6, `\npong 1: none in time\n(.*\n)*pings    sent 1, received 0, lost 1 \(100 %\), late 0\npongs    .*\nended    closed by this side`, `: replies were lost: 1 of 1\n$`},
		"pending":    {answers(wstest.AnswerOptions{NoPong: true}), []string{"--deadline=4s"}, 6, `\npings    sent \d+, received 0, lost 0 \(0 %\), late 0, pending \d+\n`, `: no ping was answered before the end\n$`},
		"no echo":    {answers(wstest.AnswerOptions{}), []string{"--deadline=4s", "--echo=beside"}, 6, `\nechoes   sent \d+, received 0, lost 0 \(0 %\), late 0, pending \d+\n`, `: no message was echoed before the end\n$`},
		"no pong":    {answers(wstest.AnswerOptions{NoPong: true}), []string{"--max-missed=0", "--timeout=4s"}, 6, `\nended    no pong by this side, code 1001, reason "pings missed in a row`, `^$`},
		"peer code":  {closes(4000, ""), nil, 7, `^connected to .*\npong 1: .*\n\nws://.*\npings .*\nRTT .*\n .*\npongs .*\nended    peer code by the server, code 4000, after .*\n$`, `^$`},
		"answer":     {answers(wstest.AnswerOptions{Code: 1011}), one, 7, `\nended    closed by this side, code 1000, answered with 1011, after `, `^$`},
		"no answer":  {answers(wstest.AnswerOptions{NoClose: true}), one, 7, `\nended    closed by this side, code 1000, not answered: .*, after `, `^$`},
		"retried":    {"ws://127.0.0.1:1/", []string{"--reconnect", "--deadline=4s"}, 3, `^(failed: .*\n)+\nws://127\.0\.0\.1:1/\ngaps     .*\nfailed   cannot connect: .*\n$`, `^$`},
		"going away": {closes(1001, "bye\x1b"), nil, 8, `\nended    going away by the server, code 1001, reason "bye\\x1b", after `, `^$`},
		"goes away":  {answers(wstest.AnswerOptions{Code: 1001}), one, 8, `\nended    closed by this side, code 1000, answered with 1001, after `, `^$`},
		"abnormal":   {wstest.Serve(t, answerOnce(func(p *wstest.Peer) { _ = p.FIN() })), nil, 9, `\nended    abnormal by the server: end of stream without a close frame, after `, `^$`},
		"protocol":   {wstest.Serve(t, answerOnce(func(p *wstest.Peer) { _ = p.Send(wstest.Frame{Fin: true, Opcode: 3}) })), nil, 10, `\nended    protocol by this side, code 1002: .*unknown opcode.*, after `, `^$`},
		"usage":      {"http://a.example", nil, 2, `^$`, `"http://a\.example" does not begin with ws:// or wss://`},
		"interval":   {"ws://a.example", []string{"--interval=1ms"}, 2, `^$`, `--interval: 1ms is not from 10ms`},
		"plot":       {"ws://a.example", []string{"--plot"}, 2, `^$`, `--plot: stdout must be a terminal`},
		"mode":       {"ws://a.example", []string{"--echo=both"}, 2, `^$`, `--echo`},
	}
}

// probeArgs returns the command line of a case.
func probeArgs(c probeCase, more ...string) []string {
	return slices.Concat([]string{"probe", "--interval=50ms", "--timeout=30s"}, c.args, more, []string{c.url})
}

// TestProbeCodes checks each exit code and the text of each ending.
func TestProbeCodes(t *testing.T) {
	t.Parallel()
	cases := probeCases(t)
	codes := map[int]bool{1: true} // TestProbeInterrupted
	for name, test := range cases {
		codes[test.code] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := ran(t, probeArgs(test)...)
			if code != test.code || !regexp.MustCompile(test.stdout).MatchString(stdout) || !regexp.MustCompile(test.stderr).MatchString(stderr) {
				t.Errorf("exit code %d, want %d\n%s%s", code, test.code, stdout, stderr)
			}
		})
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| `).FindAllStringSubmatch(document(t, "docs/probe.md"), -1)
	for _, row := range rows {
		if n, _ := strconv.Atoi(row[1]); !codes[n] {
			t.Errorf("docs/probe.md has the exit code %d, which no test causes", n)
		}
	}
	if len(rows) != len(codes) {
		t.Errorf("docs/probe.md has %d exit codes, want %d", len(rows), len(codes))
	}
}

// TestProbeInterrupted checks that Ctrl-C prints the summary.
func TestProbeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := wstest.Serve(t, wstest.Echo)
	var stdout onWrite
	stdout.do = func() {
		if strings.Contains(stdout.text.String(), "\npong 1: ") {
			cancel()
		}
	}
	var stderr strings.Builder
	if code := Run(ctx, "", []string{"probe", "--interval=50ms", url}, &stdout, &stderr); code != 0 || !strings.Contains(stdout.text.String(), "\npings    sent ") || stderr.Len() > 0 {
		t.Errorf("exit code %d\n%s%s", code, &stdout.text, &stderr)
	}
	if code := Run(ctx, "", []string{"probe", url}, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "interrupted (at the step connect)") {
		t.Errorf("before a connection: exit code %d\n%s%s", code, &stdout.text, &stderr)
	}
}

// TestProbeSeveral checks the lines and the table for several servers.
func TestProbeSeveral(t *testing.T) {
	good, bad := wstest.Serve(t, wstest.Echo), wstest.Serve(t, answerOnce(func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1001, "")) }))
	code, stdout, stderr := ran(t, "probe", "--count=3", "--timeout=30s", "--interval=50ms", good, bad)
	for _, pattern := range []string{
		regexp.QuoteMeta(good) + `: pong 3: `, regexp.QuoteMeta(bad) + `: ended: going away`,
		`\nserver +open +sent +received +lost +late +min +mean +p99 +max +end\n`,
		`\n` + regexp.QuoteMeta(good) + ` .* 3 +3 +0 +0 .* closed by this side, code 1000, after`,
		`\n` + regexp.QuoteMeta(bad) + ` .* going away by the server, code 1001, after`,
	} {
		if !regexp.MustCompile(pattern).MatchString(stdout) {
			t.Errorf("no %s in\n%s", pattern, stdout)
		}
	}
	if code != 8 || stderr != "" {
		t.Errorf("exit code %d, want 8: %s", code, stderr)
	}
}

// TestProbeSeveralBeside checks that the table has the messages beside the pings.
func TestProbeSeveralBeside(t *testing.T) {
	t.Parallel()
	good := wstest.Serve(t, wstest.Echo)
	silent := wstest.Serve(t, func(p *wstest.Peer) { _, _ = p.Answer(context.Background(), wstest.AnswerOptions{}) })
	code, stdout, stderr := ran(t, "probe", "--count=2", "--timeout=4s", "--interval=50ms", "--echo=beside", "--quiet", good, silent)
	for _, pattern := range []string{
		regexp.QuoteMeta(good) + ` pings .* 2 +2 +0 +0 .*\n` + regexp.QuoteMeta(good) + ` echoes .* 2 +2 +0 +0 `,
		regexp.QuoteMeta(silent) + ` pings .* 2 +2 +0 +0 .*\n` + regexp.QuoteMeta(silent) + ` echoes .* 2 +0 +2 +0 +–`,
	} {
		if !regexp.MustCompile(pattern).MatchString(stdout) {
			t.Errorf("no %s in\n%s", pattern, stdout)
		}
	}
	if code != 6 || !strings.Contains(stderr, "replies were lost: 2 of 4") {
		t.Errorf("exit code %d, want 6: %s", code, stderr)
	}
}

// TestPercentiles compares percentiles with values computed by hand. A histogram has three
// digits.
func TestPercentiles(t *testing.T) {
	var h rttHistograms
	for i := range 1000 {
		h.add(false, time.Duration(1000-i)*time.Millisecond)
	}
	h.add(true, 3*time.Second)
	for percent, want := range map[float64]time.Duration{50: 500, 90: 900, 99: 990, 99.9: 999, 100: 1000} {
		got := h.at(false, percent)
		if want *= time.Millisecond; got < want || got > want*1001/1000 {
			t.Errorf("p%v: got %v, want %v", percent, got, want)
		}
		if got := h.at(true, percent); got != 3*time.Second {
			t.Errorf("p%v of messages: got %v", percent, got)
		}
	}
	if got := new(rttHistograms).at(true, 50); got != 0 {
		t.Errorf("without a value: got %v", got)
	}
}

// TestPhases checks that a slow machine is no proxy.
func TestPhases(t *testing.T) {
	r := probe.Report{DNS: time.Millisecond, TCP: time.Millisecond, Steps: []probe.Timing{{Step: probe.Connect, Took: 10 * time.Millisecond}, {Step: probe.Handshake, Took: time.Millisecond}}}
	for dialed, want := range map[bool]string{false: "DNS 1.00 ms, TCP 1.00 ms, upgrade 1.00 ms", true: "DNS 1.00 ms, TCP 1.00 ms, proxy and others 8.00 ms, upgrade 1.00 ms"} {
		if got := phasesText(r, dialed); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestPlotLines checks that a line after a plot begins on a line of its own.
func TestPlotLines(t *testing.T) {
	var out strings.Builder
	p := &probePrinter{w: &out, f: &probeCommand{Plot: true, Reconnect: true}, plot: newPlot(&out)}
	j := &probeJob{}
	for _, e := range []probe.Event{
		{Type: probe.Opened, Report: &probe.Report{Remote: "a"}}, {Type: probe.Replied, Seq: 1, RTT: time.Millisecond},
		{Type: probe.Replied, Seq: 2, RTT: time.Millisecond}, {Type: probe.Ended, End: &probe.End{}},
	} {
		p.event(j, e)
	}
	p.summaries([]*probeJob{j})
	want := "connected to a: \n\r\x1b[K█  1: 1.00 ms, max 1.00 ms\r\x1b[K██  2: 1.00 ms, max 1.00 ms\nended: open, after 0 µs\n\n\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", &out, want)
	}
}

// TestProbeJSON checks that each line has the documented fields, and that the summary has
// the exit code.
func TestProbeJSON(t *testing.T) {
	t.Parallel()
	text := document(t, "docs/probe.md")
	for head, value := range map[string]any{"event": eventLine{}, "phases": phasesLine{}, "end": endLine{}, "summary": summaryLine{}, "pings, echoes": repliesLine{}, "idle": idleLine{}, "idle_summary": idleSummary{}} {
		_, table, found := strings.Cut(text, "\n| "+head+" | meaning |\n")
		table, _, _ = strings.Cut(table, "\n\n")
		var documented, fields []string
		for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| .").FindAllStringSubmatch(table, -1) {
			documented = append(documented, m[1])
		}
		for i := range reflect.TypeOf(value).NumField() {
			name, _, _ := strings.Cut(reflect.TypeOf(value).Field(i).Tag.Get("json"), ",")
			fields = append(fields, name)
		}
		slices.Sort(documented)
		slices.Sort(fields)
		if !found || !slices.Equal(documented, fields) {
			t.Errorf("%s: docs/probe.md has the fields %q, want %q", head, documented, fields)
		}
	}
	for name, test := range probeCases(t) {
		if test.code == 2 || name == "quiet" || name == "retried" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, _ := ran(t, probeArgs(test, "--json")...)
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			strict := func(line string, into any) {
				d := json.NewDecoder(bytes.NewReader([]byte(line)))
				d.DisallowUnknownFields()
				if err := d.Decode(into); err != nil {
					t.Errorf("%v: %s", err, line)
				}
			}
			for i, line := range lines[:len(lines)-1] {
				var e eventLine
				strict(line, &e)
				if e.URL != test.url || e.Time.IsZero() || e.Connection != 1 || (i == 0) != (e.Event == "open" || e.Event == "failed") {
					t.Errorf("got %s", line)
				}
			}
			var s summaryLine
			strict(lines[len(lines)-1], &s)
			if code != test.code || s.ExitCode != code || s.Event != "summary" || s.URL != test.url || (s.End == nil) != (s.Error != "") {
				t.Errorf("exit code %d, want %d: %s", code, test.code, lines[len(lines)-1])
			}
		})
	}
}

// TestPlot checks the bars and the width of a plot.
func TestPlot(t *testing.T) {
	p := newPlot(&strings.Builder{})
	var last string
	for i := range 100 {
		last = p.add(probe.Event{Type: probe.Replied, Seq: i + 1, RTT: time.Duration(i%8+1) * time.Millisecond})
	}
	if bars := strings.Count(last, "█"); bars != 10 || !strings.HasSuffix(last, "▂▃▄▅  100: 4.00 ms, max 8.00 ms") {
		t.Errorf("got %q with %d full bars", last, bars)
	}
	if n := len([]rune(last)); n > 80+len("\r\x1b[K") {
		t.Errorf("got %d characters", n)
	}
	if last = p.add(probe.Event{Type: probe.Missing, Seq: 101}); !strings.Contains(last, "x  101: none in time") {
		t.Errorf("got %q", last)
	}
}

// TestProbeOptions checks that each flag sets its option.
func TestProbeOptions(t *testing.T) {
	withoutProxies(t)
	options := func(args ...string) probe.WatchOptions {
		jobs, err := parse(t, append(append([]string{"probe"}, args...), "ws://127.0.0.1/")...).Probe.jobs()
		if err != nil {
			t.Fatal(err)
		}
		return jobs[0].options
	}
	defaults := options()
	want := probe.WatchOptions{Connect: defaults.Connect, Interval: probe.DefaultInterval, MaxMissed: 2}
	if !reflect.DeepEqual(defaults, want) || defaults.Connect.Timeout != probe.DefaultTimeout || defaults.Connect.DialContext != nil {
		t.Errorf("got %+v, want %+v", defaults, want)
	}
	set := map[string]string{"Connect": "--timeout=7s", "Interval": "--interval=2s", "Count": "--count=3", "Deadline": "--deadline=9s", "MaxMissed": "--max-missed=0", "Echo": "--echo=only", "Reconnect": "--reconnect", "OnEvent": ""}
	for i := range reflect.TypeOf(want).NumField() {
		name := reflect.TypeOf(want).Field(i).Name
		if set[name] == "" {
			if name != "OnEvent" {
				t.Errorf("no flag sets %s", name)
			}
			continue
		}
		got := reflect.ValueOf(options(set[name]))
		for j := range got.NumField() {
			if changed := !reflect.DeepEqual(got.Field(j).Interface(), reflect.ValueOf(defaults).Field(j).Interface()); changed != (i == j) {
				t.Errorf("%s: %s changed: %t", set[name], got.Type().Field(j).Name, changed)
			}
		}
	}
}
