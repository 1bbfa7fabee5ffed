package load_test

import (
	"testing"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/wstest"
)

// stalling is an echo server that stalls once, when it has received message number at.
func stalling(at int, d time.Duration) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		for n := 0; ; n++ {
			f, err := p.Recv()
			if err != nil || f.Opcode == wstest.Close {
				return
			}
			if n == at {
				time.Sleep(d)
			}
			f.Masked = false
			if p.Send(f) != nil {
				return
			}
		}
	}
}

// TestNoOmission checks an open loop with a stall of the server. The stall increases the
// latency of every message that was due meanwhile. In a closed loop it increases that of
// one message.
func TestNoOmission(t *testing.T) {
	t.Parallel()
	const stall = 600 * time.Millisecond
	url := wstest.Serve(t, stalling(100, stall))
	plan := load.Plan{Connections: 1, Warmup: -1, Duration: 2 * time.Second}

	plan.Rate = 500
	open := run(t, plan, url)
	if !open.OK() {
		t.Fatal(open.Targets[0].Problems())
	}
	// 300 of 1000 messages were due in the stall. Half of them, 15 of 100, waited for half
	// of it or longer. A busy machine can only make that more.
	l := open.Targets[0].Rounds[0].Latency
	if l.Max < stall || l.P90 < stall/4 {
		t.Errorf("open loop: p90 %v, max %v", l.P90, l.Max)
	}
	if n := open.Targets[0].Messages; n != 1000 {
		t.Errorf("open loop: %d messages of 1000", n)
	}

	plan.Rate = 0
	url = wstest.Serve(t, stalling(10, stall))
	closed := run(t, plan, url).Targets[0].Rounds[0]
	for attempt := 1; closed.Messages < 20 && attempt < 5; attempt++ { // a busy machine sends too few
		closed = run(t, plan, url).Targets[0].Rounds[0]
	}
	if c := closed.Latency; c.Max < stall || c.P90 > l.P90 {
		t.Errorf("closed loop: p90 %v, max %v, and the open loop's p90 is %v", c.P90, c.Max, l.P90)
	}
}

// TestBlocked checks the same for a server that does not read, so the client's write
// waits.
func TestBlocked(t *testing.T) {
	t.Parallel()
	const stall = 600 * time.Millisecond
	url := wstest.Serve(t, stalling(10, stall))
	r := run(t, load.Plan{Connections: 1, Warmup: -1, Duration: time.Second, Rate: 50, Size: 400_000, Binary: true}, url)
	if !r.OK() {
		t.Fatal(r.Targets[0].Problems())
	}
	one := r.Targets[0].Rounds[0]
	if one.Latency.Max < stall || one.Latency.P50 < stall/10 {
		t.Errorf("%+v", one.Latency)
	}
}
