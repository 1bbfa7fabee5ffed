package load_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/wstest"
)

// greets sends frames in one write with the response, and then echoes.
func greets(frames ...wstest.Frame) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		r, err := p.ReadRequest()
		if err != nil {
			return
		}
		b := wstest.Response(r.Header.Get("Sec-WebSocket-Key"), nil)
		for _, f := range frames {
			b = f.Append(b)
		}
		if p.SendRaw(b) == nil {
			wstest.Echo(p)
		}
	}
}

// TestGreeting checks servers that send messages before they receive any.
func TestGreeting(t *testing.T) {
	t.Parallel()
	const wrong = `sent a message before any was sent to it: a text of 5 bytes or more; SkipGreeting \(--skip-greeting\) ignores it`
	hello := wstest.TextFrame("hello")
	fragments := slices.Insert(wstest.Fragments(wstest.Text, "he", "", "llo"), 1, wstest.PingFrame("x"))
	for name, test := range map[string]struct {
		plan   load.Plan
		handle func(*wstest.Peer)
		want   string // a pattern; "": all is right
	}{
		"none":               {load.Plan{}, greets(), ""},
		"none, and one less": {load.Plan{SkipGreeting: 1}, greets(), ""},
		"one":                {load.Plan{}, greets(hello), wrong},
		"one, open loop":     {load.Plan{Rate: 100}, greets(hello), wrong},
		"one, large":         {load.Plan{Size: 300_000, InFlight: 8}, greets(hello), wrong},
		"one skipped":        {load.Plan{SkipGreeting: 1}, greets(hello), ""},
		"skipped, open loop": {load.Plan{SkipGreeting: 1, Rate: 100}, greets(hello), ""},
		"skipped, large":     {load.Plan{SkipGreeting: 1, Size: 300_000, InFlight: 8}, greets(hello), ""},
		"two of three":       {load.Plan{SkipGreeting: 2}, greets(hello, wstest.BinaryFrame(make([]byte, 100_000)), hello), wrong},
		"three":              {load.Plan{SkipGreeting: 3}, greets(hello, wstest.BinaryFrame(make([]byte, 100_000)), wstest.TextFrame("")), ""},
		"late": {load.Plan{}, func(p *wstest.Peer) {
			if p.Accept(nil) != nil {
				return
			}
			f, err := p.Recv()
			f.Masked = false
			if err == nil && p.Send(hello, f) == nil {
				wstest.Echo(p)
			}
		}, `did not come back as it was sent: byte 1 of 64 is 0x68 .*; if it is a greeting, SkipGreeting \(--skip-greeting\) ignores it`},
		"in fragments": {load.Plan{SkipGreeting: 1}, greets(fragments...), ""},
		"sent later": {load.Plan{SkipGreeting: 1}, func(p *wstest.Peer) {
			if p.Accept(nil) != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
			if p.Send(hello) == nil {
				wstest.Echo(p)
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := run(t, test.plan, wstest.ServeRaw(t, nil, test.handle)).Targets[0]
			switch problems := target.Problems(); {
			case test.want == "" && !target.OK():
				t.Errorf("got %q", problems)
			case test.want != "" && (len(problems) == 0 || !regexp.MustCompile(test.want).MatchString(problems[0])):
				t.Errorf("got %q, want %s", problems, test.want)
			}
		})
	}
}
