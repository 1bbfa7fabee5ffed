package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/load/report"
)

// found returns a report of two servers. One of them has failures.
func found() *load.Report {
	round := func(rate float64, p50, p99 time.Duration) load.Round {
		return load.Round{Connections: 64, Measured: 2 * time.Second, Messages: int64(2 * rate), Rate: rate,
			Latency: load.Latency{P50: p50, P90: p50, P99: p99, P999: 10 * p99, Max: time.Minute}}
	}
	return &load.Report{
		Plan:  load.Plan{Connections: 64, Size: 4096, InFlight: 16, Rounds: 2, Duration: 2 * time.Second},
		Began: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Targets: []*load.Target{
			{URL: "ws://one/", Messages: 1234567, Rounds: []load.Round{
				round(1000, 1500*time.Microsecond, 20*time.Millisecond), round(3000.4, 900*time.Nanosecond, 2*time.Second)}},
			{URL: "ws://two/?<script>", Messages: 12, Lost: 3, Rounds: []load.Round{round(500, time.Millisecond, time.Millisecond), {Connections: 3}},
				Failures: []load.Failure{{What: "sent no echo", First: "for <1s>", Count: 64}},
				Ratios: map[string]load.Ratio{
					"rate":    {Median: 0.5, Low: 0.25, High: 0.75, Rounds: 5},
					"p50_ns":  {Median: 1.04, Low: 0.9, High: 1.2, Rounds: 5, Noise: true},
					"p99_ns":  {Median: 1.5, Rounds: 2, Noise: true},
					"p999_ns": {Median: 1.5, Rounds: 2, Noise: true},
				}},
		},
		Notes: []string{"this is <noted>"},
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := report.Table(&b, found()); err != nil {
		t.Fatal(err)
	}
	const want = `4 KiB text, 64 connections, closed loop, 16 in flight on each, 2 rounds of 2s

A  ws://one/  1,234,567 messages, every byte correct
B  ws://two/?<script>  FAILED: 12 messages came back correct, 3 lost, 64 connections failed

               median (min–max)           ÷ A (95 %)
messages/s  A  2,000 (1,000–3,000)
            B  500 (500–500)              0.500 (0.250–0.750)
p50         A  750 µs (0.900 µs–1.50 ms)
            B  1.00 ms (1.00 ms–1.00 ms)  1.04 n.s. (0.900–1.20)
p99         A  1.01 s (20.0 ms–2.00 s)
            B  1.00 ms (1.00 ms–1.00 ms)  1.50 n.s.
p99.9       A  10.1 s (200 ms–20.0 s)
            B  10.0 ms (10.0 ms–10.0 ms)  1.50 n.s.

n.s.: not significant. The interval contains 1, or there were fewer than 5 rounds.

Note: this is <noted>.
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}

func TestTableOfNothing(t *testing.T) {
	r := &load.Report{Plan: load.Plan{Size: 0, Connections: 1, Rounds: 1, Duration: time.Second, Rate: 0.5, Binary: true, Compression: true},
		Targets: []*load.Target{{URL: "ws://none/", Rounds: []load.Round{{}}}}}
	var b strings.Builder
	if err := report.Table(&b, r); err != nil {
		t.Fatal(err)
	}
	const want = `0 B binary, compressed, 1 connection, open loop, 0.5 messages/s, 1 round of 1s

A  ws://none/  FAILED: 0 messages came back correct, 0 lost, 0 connections failed
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}

// TestHTML checks that the page has every figure, quotes the words of servers, and loads
// nothing.
func TestHTML(t *testing.T) {
	var b strings.Builder
	if err := report.HTML(&b, found()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{
		"<title>wsecho bench: 4 KiB text, 64 connections", "2026-05-04 03:02 UTC", "ws://one/", "1,234,567 messages, every byte correct",
		"ws://two/?&lt;script&gt;: sent no echo: for &lt;1s&gt;", "3 messages never came back", "1.04 n.s. (0.900–1.20)", "n.s.: not significant.", "this is &lt;noted&gt;.",
		`<rect width="200" height="16"`, "<td class=\"n\">60.0 s</td>", "not measured", "</html>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %q in\n%s", want, page)
		}
	}
	for _, not := range []string{"<script", "src=", "href=", "@import", "NaN", "ZgotmplZ", "%!"} {
		if strings.Contains(page, not) {
			t.Errorf("there is %q in\n%s", not, page)
		}
	}
}

// TestNarrow: each table, and the plot in it, scrolls in its own box on a small screen.
func TestNarrow(t *testing.T) {
	var b strings.Builder
	if err := report.HTML(&b, found()); err != nil {
		t.Fatal(err)
	}
	tables := strings.Split(b.String(), "<table>")
	for _, before := range tables[:len(tables)-1] {
		if box := strings.LastIndex(before, `<div class="box"`); box < 0 || strings.Contains(before[box:], "</div>") {
			t.Fatalf("a table is not in a box that scrolls, after\n%s", before)
		}
	}
	for _, want := range []string{".box { overflow-x: auto;", "overflow-wrap: anywhere"} {
		if len(tables) != 4 || strings.Contains(tables[0], "<svg") || !strings.Contains(tables[0], want) {
			t.Errorf("got %d tables, want 3 and a style with %q", len(tables)-1, want)
		}
	}
}

// TestHTMLOfNothing checks the page of a server that answered no message: it has no
// NaN.
func TestHTMLOfNothing(t *testing.T) {
	r := &load.Report{Plan: load.Plan{Connections: 1, Rounds: 2, Duration: time.Second},
		Targets: []*load.Target{{URL: "ws://none/", Rounds: []load.Round{{Connections: 1, Measured: time.Second}}}}}
	var b strings.Builder
	if err := report.HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	if page := b.String(); strings.Contains(page, "NaN") || !strings.Contains(page, `<rect width="0" height="16"`) {
		t.Errorf("got %s", page)
	}
}

// TestHTMLOfOneRound checks that one round draws no bars that compare servers, and that
// its numbers are there.
func TestHTMLOfOneRound(t *testing.T) {
	for rounds, drawn := range map[int]bool{1: false, 2: true} {
		r := found()
		r.Plan.Rounds = rounds
		for _, target := range r.Targets {
			target.Rounds = target.Rounds[:1]
		}
		var b strings.Builder
		if err := report.HTML(&b, r); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "<svg"); got != drawn {
			t.Errorf("%d rounds: drawn %t, want %t", rounds, got, drawn)
		}
		if !strings.Contains(b.String(), ">1.50 ms<") || !strings.Contains(b.String(), "1.50 n.s.") {
			t.Errorf("%d rounds: there is no number in %s", rounds, b.String())
		}
	}
}

// TestJSON checks that a report can be decoded again and contains no secret.
func TestJSON(t *testing.T) {
	r := found()
	r.Plan.Header = map[string][]string{"Authorization": {"secret"}}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("secret")) {
		t.Errorf("there is a secret in %s", b)
	}
	var back load.Report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if got, want := back.Targets[1].Ratios["rate"].Low, 0.25; got != want || back.Targets[0].Rounds[1].Latency.P50 != 900*time.Nanosecond {
		t.Errorf("%+v", back)
	}
}
