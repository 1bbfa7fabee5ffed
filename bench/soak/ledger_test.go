package soak

import (
	"strings"
	"testing"
	"time"

	"example.com/wsecho/bench/measure"
)

// complains checks the complaints of a ledger. Each must contain the string of want at the
// same position.
func complains(t *testing.T, l *Ledger, want ...string) {
	t.Helper()
	got, n := l.Problems()
	if n != len(want) {
		t.Errorf("got %d complaints, want %d: %q", n, len(want), got)
		return
	}
	for i, part := range want {
		if !strings.Contains(got[i], part) {
			t.Errorf("got %q, want it to contain %q", got[i], part)
		}
	}
}

var (
	hello   = Want{What: "hello", Kind: "normal", By: "peer", Code: 1000, Sent: 1000, Received: 1000, MessagesIn: 2, MessagesOut: 2, BytesIn: 10, BytesOut: 10}
	outcome = Outcome{Kind: "normal", By: "peer", Code: 1000, Sent: 1000, Received: 1000, Remote: "a:1", MessagesIn: 2, MessagesOut: 2, BytesIn: 10, BytesOut: 10}
)

// TestLedger: the Ledger matches Outcomes with connections in any order.
func TestLedger(t *testing.T) {
	var l Ledger
	first := l.Open("a:1")
	l.Outcome(outcome) // before the Want
	first(hello)
	second, other := l.Open("a:1"), l.Open("b:2") // the port is reused
	second(hello)
	wide := hello
	wide.BytesIn = Any
	other(wide)
	alternative := hello
	alternative.Kind, alternative.Or = "reset", &wide
	other = l.Open("c:3")
	other(alternative)
	of := outcome
	of.Remote = "c:3"
	l.Outcome(of)
	of = outcome
	of.Remote, of.BytesIn = "b:2", 12345
	l.Outcome(of)
	l.Outcome(outcome)
	l.Balance(0)
	complains(t, &l)
	if n := l.Kinds()["normal"]; n != 4 {
		t.Errorf("got %d normal endings, want 4", n)
	}
}

// TestLedgerFinds: the Ledger complains about each wrong figure.
func TestLedgerFinds(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(o *Outcome)
		want   string
	}{
		"kind":     {func(o *Outcome) { o.Kind = "reset" }, "ended as reset by peer"},
		"by":       {func(o *Outcome) { o.By = "local" }, "by local"},
		"code":     {func(o *Outcome) { o.Code = 1001 }, "code is 1001, want 1000"},
		"sent":     {func(o *Outcome) { o.Sent = 0 }, "sent is 0"},
		"received": {func(o *Outcome) { o.Received = 1005 }, "received is 1005"},
		"in":       {func(o *Outcome) { o.MessagesIn = 1 }, "messages_in is 1"},
		"out":      {func(o *Outcome) { o.MessagesOut = 3 }, "messages_out is 3"},
		"bytes in": {func(o *Outcome) { o.BytesIn = 9 }, "bytes_in is 9"},
		"bytes":    {func(o *Outcome) { o.BytesOut = 11 }, "bytes_out is 11"},
	} {
		var l Ledger
		o := outcome
		tt.change(&o)
		l.Open("a:1")(hello)
		l.Outcome(o)
		t.Log(name)
		complains(t, &l, tt.want)
	}
}

// TestLedgerMisses: the Ledger reports a connection without an Outcome, and an Outcome
// without a connection. It also reports a second Outcome of one connection.
func TestLedgerMisses(t *testing.T) {
	var l Ledger
	l.Open("a:1")(hello)
	l.Balance(10 * time.Millisecond)
	complains(t, &l, "hello (a:1): no Outcome")

	l = Ledger{}
	l.Outcome(outcome)
	l.Balance(0)
	complains(t, &l, "an Outcome without a connection")

	l = Ledger{}
	l.Open("a:1")(hello)
	l.Outcome(outcome)
	l.Outcome(outcome)
	l.Balance(0)
	complains(t, &l, "an Outcome without a connection")

	// Balance waits for a late Outcome.
	l = Ledger{}
	l.Open("a:1")(hello)
	go l.Outcome(outcome)
	l.Balance(stepTimeout)
	complains(t, &l)
}

// TestLog: a Server reads its log.
func TestLog(t *testing.T) {
	s := &Server{Name: "it", addr: make(chan string, 1)}
	s.Open("1.2.3.4:5")(Want{What: "w", Kind: "no pong", By: "local", Code: 1001, Sent: 1001, BytesIn: 7})
	s.readLog(strings.NewReader(`{"time":"2026-11-22T14:53:39Z","level":"INFO","msg":"listening","addr":"127.0.0.1:80","url":"ws://localhost/"}
{"level":"INFO","msg":"ended","kind":"no pong","by":"local","code":1001,"reason":"","sent":1001,"received":0,"id":1,"remote":"1.2.3.4:5","uri":"/","age_seconds":0.936,"silent_seconds":0,"messages_in":0,"messages_out":0,"bytes_in":7,"bytes_out":0}
{"level":"INFO","msg":"draining","connections":3}
`))
	s.Balance(0)
	complains(t, &s.Ledger)
	if addr := <-s.addr; addr != "127.0.0.1:80" {
		t.Errorf("got %q", addr)
	}
	s.readLog(strings.NewReader(`{"level":"ERROR","msg":"handler panicked"}
panic: oh
`))
	complains(t, &s.Ledger, "handler panicked", "panic: oh")
}

// TestGrown: grown distinguishes growing memory from varying memory.
func TestGrown(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		resident measure.Sample
		want     bool
	}{
		{measure.Sample{10 * mib, 900 * mib}, false}, // too few
		{measure.Sample{10 * mib, 100 * mib, 120 * mib, 110 * mib, 130 * mib, 100 * mib, 140 * mib}, false},
		{measure.Sample{500 * mib, 50 * mib, 60 * mib, 55 * mib, 50 * mib}, false},
		{measure.Sample{10 * mib, 100 * mib, 150 * mib, 200 * mib, 250 * mib, 300 * mib, 350 * mib}, true},
	} {
		if text, got := grown(tt.resident); got != tt.want {
			t.Errorf("%v: got %v (%s), want %v", tt.resident, got, text, tt.want)
		}
	}
}
