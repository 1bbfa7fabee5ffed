package load_test

import (
	"context"
	"math"
	"testing"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestInterrupted checks that a run whose context ends reports its results soon. Messages
// in flight are no failures.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]load.Plan{
		"closed":        {InFlight: 8},
		"closed, large": {InFlight: 8, Size: 1 << 20},
		"open":          {Rate: 300},
		"open, rare":    {Rate: 0.001},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			plan.Duration, plan.Rounds, plan.Timeout, plan.Connections = time.Hour, 3, time.Hour, 2
			plan.Progress = func(p load.Progress) {
				if p.Rate > 0 || plan.Rate == 0.001 {
					cancel()
				}
			}
			url, other := serve(t, false, server.Options{}), serve(t, false, server.Options{})
			r, err := load.Run(ctx, plan, url, other)
			if err != nil {
				t.Fatal(err)
			}
			first := r.Targets[0]
			if !r.Interrupted || !first.OK() || len(first.Rounds) != 1 || len(r.Targets[1].Rounds) != 0 {
				t.Errorf("%+v: %+v, %q", r, first, first.Problems())
			}
			if one := first.Rounds[0]; plan.Rate != 0.001 && (one.Measured >= time.Hour || one.Messages == 0 || one.Rate == 0) {
				t.Errorf("%+v", one)
			}
		})
	}
}

// TestInterruptedSilence checks the same for a server that sends nothing.
func TestInterruptedSilence(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(*wstest.Peer){
		"reads":         func(p *wstest.Peer) { _, _ = p.End(2 * soon) },
		"reads nothing": wstest.Silent,
	} {
		for loop, plan := range map[string]load.Plan{"small": {}, "large": {Size: 8 << 20}, "open": {Rate: 100}} {
			t.Run(name+"/"+loop, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				plan := plan
				plan.Duration, plan.Timeout, plan.Connections = time.Hour, time.Hour, 2
				plan.Progress = func(load.Progress) { cancel() }
				r, err := load.Run(ctx, plan, wstest.Serve(t, handle))
				if err != nil {
					t.Fatal(err)
				}
				if target := r.Targets[0]; !r.Interrupted || len(target.Failures) != 0 || target.Messages != 0 || r.OK() {
					t.Errorf("%+v, %q", target, target.Problems())
				}
			})
		}
	}
}

// TestInterruptedHandshake checks the same for a server that does not answer the
// handshake.
func TestInterruptedHandshake(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		if _, err := p.ReadRequest(); err == nil {
			cancel()
			_, _ = p.End(soon)
		}
	})
	r, err := load.Run(ctx, load.Plan{Timeout: time.Hour}, url)
	if err != nil {
		t.Fatal(err)
	}
	if target := r.Targets[0]; !r.Interrupted || len(target.Failures) != 0 || target.GivenUp || r.OK() {
		t.Errorf("%+v", target)
	}
}

// TestInvalid checks that an invalid plan is refused with the name of the field.
func TestInvalid(t *testing.T) {
	const url = "ws://127.0.0.1:1/"
	for _, test := range []struct {
		plan load.Plan
		url  string
		want string
	}{
		{load.Plan{Connections: -1}, url, "load: Connections: -1 is not from 1 to 1048576"},
		{load.Plan{InFlight: 1 << 20}, url, "load: InFlight: 1048576 is not from 1 to 65536"},
		{load.Plan{Rounds: -1}, url, "load: Rounds: -1 is not from 1 to 10000"},
		{load.Plan{Size: 1 << 30}, url, "load: Size: 1073741824 is over 67108864 bytes"},
		{load.Plan{SkipGreeting: -1}, url, "load: SkipGreeting: -1 is not from 0 to 65536"},
		{load.Plan{Rate: -1}, url, "load: Rate: -1 is not from 0 to 100000000"},
		{load.Plan{Rate: 1, InFlight: 1}, url, "load: InFlight: it has no meaning in an open loop, which sends messages when they are due; see Rate"},
		{load.Plan{Duration: -1}, url, "load: Duration: -1ns is not from 1ms to 1000h0m0s"},
		{load.Plan{Duration: 1}, url, "load: Duration: 1ns is not from 1ms to 1000h0m0s"},
		{load.Plan{Duration: math.MaxInt64}, url, "load: Duration: 2562047h47m16.854775807s is not from 1ms to 1000h0m0s"},
		{load.Plan{Warmup: math.MaxInt64}, url, "load: Warmup: 2562047h47m16.854775807s is longer than 1000h0m0s"},
		{load.Plan{Timeout: -1}, url, "load: Timeout: -1ns is not from 1ms to 1000h0m0s"},
		{load.Plan{Timeout: 1}, url, "load: Timeout: 1ns is not from 1ms to 1000h0m0s"},
		{load.Plan{Subprotocols: []string{"two words"}}, url, `load: Subprotocols: "two words" is not a token of HTTP`},
		{load.Plan{Header: map[string][]string{"A B": {""}}}, url, `load: Header: "A B" is not a name of HTTP`},
		{load.Plan{Header: map[string][]string{"A": {"b\r\nc: d"}}}, url, "load: Header: the value of A has a control character"},
		{load.Plan{}, "http://127.0.0.1/", `load: "http://127.0.0.1/" does not begin with ws:// or wss://`},
		{load.Plan{}, "ws://", `load: "ws://" names no host`},
		{load.Plan{}, "ws://a/#b", `load: "ws://a/#b" has a fragment, which the URL of a WebSocket must not have`},
		{load.Plan{}, "ws://bücher.example/", `load: "ws://bücher.example/" has a host that is not ASCII; use its xn-- form`},
		{load.Plan{}, "ws://a:99999/", `load: "ws://a:99999/" has a port that is not from 1 to 65535`},
		{load.Plan{}, "ws://a:b/", `load: "ws://a:b/" is not a URL: invalid port ":b" after host`},
	} {
		r, err := load.Run(t.Context(), test.plan, test.url)
		if err == nil || err.Error() != test.want || r != nil {
			t.Errorf("%+v %s: %v, want %s", test.plan, test.url, err, test.want)
		}
	}
	if _, err := load.Run(t.Context(), load.Plan{}); err == nil {
		t.Error("no URL is not refused")
	}
}
