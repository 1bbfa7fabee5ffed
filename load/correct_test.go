package load_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/load"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// soon bounds each wait of a test that passes. The machine may be busy.
const soon = 30 * time.Second

// quick returns p with short times.
func quick(p load.Plan) load.Plan {
	p.Rounds = max(p.Rounds, 1)
	p.Warmup = cmp.Or(p.Warmup, 20*time.Millisecond)
	if p.Connections == 0 {
		p.Connections = 3
	}
	if p.Duration == 0 {
		p.Duration = 100 * time.Millisecond
	}
	if p.Timeout == 0 {
		p.Timeout = soon
	}
	return p
}

// run calls load.Run with a valid plan.
func run(t *testing.T, p load.Plan, urls ...string) *load.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*soon)
	defer cancel()
	r, err := load.Run(ctx, quick(p), urls...)
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatal("the run did not end in time")
	}
	return r
}

// serve starts the server of this project on loopback, until the end of the test.
func serve(t *testing.T, secure bool, o server.Options) (url string) {
	t.Helper()
	o.ReadLimit = 128 << 20
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url = "ws://" + l.Addr().String() + "/"
	if secure {
		config, _ := wstest.TLS()
		l, url = tls.NewListener(l, config), "wss://"+l.Addr().String()+"/"
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return url
}

// TestCorrect checks that a correct server has no failures, with every kind of message. Each
// connection ends with a closing handshake.
func TestCorrect(t *testing.T) {
	t.Parallel()
	_, trusting := wstest.TLS()
	for name, test := range map[string]struct {
		plan    load.Plan
		secure  bool
		options server.Options
	}{
		"text":                  {plan: load.Plan{}},
		"one connection":        {plan: load.Plan{Connections: 1}},
		"empty":                 {plan: load.Plan{Size: -1, InFlight: 10}},
		"a byte":                {plan: load.Plan{Size: 1, InFlight: 16}},
		"125":                   {plan: load.Plan{Size: 125, InFlight: 16, Binary: true}},
		"126":                   {plan: load.Plan{Size: 126, InFlight: 16, Binary: true}},
		"65535":                 {plan: load.Plan{Size: 65535}},
		"65536":                 {plan: load.Plan{Size: 65536, Binary: true, InFlight: 2}},
		"large, in flight":      {plan: load.Plan{Size: 300_000, InFlight: 8, Binary: true}},
		"many in flight":        {plan: load.Plan{Size: 5, InFlight: 1000}},
		"many and large":        {plan: load.Plan{Size: 5000, InFlight: 50}},
		"rate":                  {plan: load.Plan{Rate: 500}},
		"rate, large":           {plan: load.Plan{Rate: 50, Size: 200_000}},
		"rate, rare":            {plan: load.Plan{Rate: 8, Duration: time.Second}},
		"TLS":                   {plan: load.Plan{TLS: trusting, InFlight: 16}, secure: true},
		"TLS, large":            {plan: load.Plan{TLS: trusting, InFlight: 8, Size: 300_000}, secure: true},
		"TLS, rate":             {plan: load.Plan{TLS: trusting, Rate: 200}, secure: true},
		"compression":           {plan: load.Plan{Compression: true, Size: 5000, InFlight: 4}, options: server.Options{Compression: websocket.CompressionNoContextTakeover}},
		"compression, takeover": {plan: load.Plan{Compression: true, Size: 5000, InFlight: 4}, options: server.Options{Compression: websocket.CompressionContextTakeover}},
		"compression, empty":    {plan: load.Plan{Compression: true, Size: -1}, options: server.Options{Compression: websocket.CompressionNoContextTakeover}},
		"compression, random":   {plan: load.Plan{Compression: true, Size: 100_000, Binary: true}, options: server.Options{Compression: websocket.CompressionNoContextTakeover}},
		"compression, rate":     {plan: load.Plan{Compression: true, Size: 500, Rate: 300}, options: server.Options{Compression: websocket.CompressionNoContextTakeover}},
		"subprotocol":           {plan: load.Plan{Subprotocols: []string{"a", "b"}}, options: server.Options{Subprotocols: []string{"b"}}},
		"host and origin":       {plan: load.Plan{Header: http.Header{"Host": {"example.com"}, "Origin": {"https://example.com"}}}, options: server.Options{Hosts: []string{"example.com"}}},
		"pinged": {plan: load.Plan{Rate: 4, Duration: time.Second}, options: server.Options{
			PingInterval: 10 * time.Millisecond, PingTimeout: 10 * time.Millisecond, MaxMissed: 500}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan server.Outcome, 100)
			test.options.OnEnd = func(o server.Outcome) { ended <- o }
			r := run(t, test.plan, serve(t, test.secure, test.options))
			target := r.Targets[0]
			if !r.OK() || len(target.Rounds) != 1 {
				t.Fatalf("%q in %d rounds, %d messages", target.Problems(), len(target.Rounds), target.Messages)
			}
			one := target.Rounds[0]
			if one.Connections != r.Plan.Connections || one.Messages > 0 && one.Latency.Max == 0 || one.Latency.Min > one.Latency.P50 || one.Latency.P50 > one.Latency.Max {
				t.Errorf("%+v", one)
			}
			if rate := r.Plan.Rate; rate > 0 {
				// All messages that were due are sent and counted, even if late.
				if want := int64(rate * (r.Plan.Warmup + r.Plan.Duration).Seconds()); target.Messages < want-1 || target.Messages > want+1 {
					t.Errorf("%d messages, want %d", target.Messages, want)
				}
			}
			messages := int64(0)
			for range one.Connections {
				o := <-ended
				messages += o.MessagesOut
				if o.Code != websocket.StatusNormalClosure {
					t.Errorf("it ended with %v", o)
				}
			}
			if messages != target.Messages {
				t.Errorf("%d messages came back, and the server has sent %d", target.Messages, messages)
			}
		})
	}
}
