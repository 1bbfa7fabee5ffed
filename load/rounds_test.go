package load_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestWarmup checks that the figures do not contain the warm-up.
func TestWarmup(t *testing.T) {
	t.Parallel()
	const stall = time.Second
	url := wstest.Serve(t, stalling(0, stall))
	var max time.Duration
	for range 5 { // a pause of the machine looks like one of the server
		r := run(t, load.Plan{Connections: 1, Warmup: 3 * stall / 2, Duration: stall / 2}, url)
		if !r.OK() {
			t.Fatal(r.Targets[0].Problems())
		}
		if max = r.Targets[0].Rounds[0].Latency.Max; max < stall {
			return
		}
	}
	t.Errorf("the latency is up to %v", max)
}

// TestRounds checks that servers alternate and are compared, and that progress only grows.
func TestRounds(t *testing.T) {
	t.Parallel()
	var order []string
	first, second := serve(t, false, server.Options{}), serve(t, false, server.Options{})
	done := 0.0
	plan := load.Plan{Rounds: 5, Connections: 2, Duration: 100 * time.Millisecond, Progress: func(p load.Progress) {
		if p.Done < done || p.Done > 1 || p.Rounds != 5 {
			t.Errorf("after %v: %+v", done, p)
		}
		done = p.Done
		if p.RoundOver {
			order = append(order, p.URL)
		}
	}}
	r := run(t, plan, first, second)
	if !r.OK() || r.Interrupted {
		t.Errorf("%+v", r)
	}
	if done != 1 || len(order) != 10 {
		t.Errorf("got progress %v in %d turns at the end", done, len(order))
	}
	for i, url := range order {
		if want := []string{first, second}[i%2]; url != want {
			t.Errorf("run %d measured %s, want %s", i, url, want)
		}
	}
	if r.Targets[0].Ratios != nil || len(r.Targets[1].Ratios) != len(load.Figures) {
		t.Errorf("the ratios are %v and %v", r.Targets[0].Ratios, r.Targets[1].Ratios)
	}
	// After a pause of the machine, a round may have no figures.
	if ratio := r.Targets[1].Ratios["rate"]; ratio.Rounds == 5 && (ratio.Low > ratio.Median || ratio.Median > ratio.High) {
		t.Errorf("%+v", ratio)
	}
}

func TestMeasuring(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls []bool
	plan := load.Plan{Rounds: 2, Connections: 2, Warmup: 50 * time.Millisecond, Duration: 50 * time.Millisecond}
	plan.Measuring = func(begins bool) { calls = append(calls, begins) }
	url := serve(t, false, server.Options{})
	if _, err := load.Run(ctx, plan, url); err != nil {
		t.Fatal(err)
	}
	if want := []bool{true, false, true, false}; !slices.Equal(calls, want) {
		t.Errorf("in two rounds it was called with %v, want %v", calls, want)
	}

	calls = nil
	plan.Warmup = time.Minute
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := load.Run(ctx, plan, url); err != nil {
		t.Fatal(err)
	}
	if len(calls) > 0 {
		t.Errorf("a run that ended in its warm-up called it with %v", calls)
	}
}
