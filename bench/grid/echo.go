package grid

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/peers"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/load"
)

// A window measures the CPU time, allocations and memory of a process between two times.
type window struct {
	process *measure.Process
	err     error
	at      [2]time.Time
	cpu     [2]time.Duration
	allocs  [2]uint64
	silent  bool // the process does not report its allocations
	rss     int64
	peak    int64
}

// windowOn returns a window that has not begun. It asks once for the allocations: later,
// waiting for a process that does not answer would distort the measurement.
func windowOn(p *measure.Process) *window {
	_, err := p.Allocs()
	return &window{process: p, silent: err != nil}
}

// mark reads the values at one end of the window. load.Plan.Measuring calls it.
func (w *window) mark(begins bool) {
	i := 1
	if begins {
		i = 0
	}
	w.at[i] = time.Now()
	var err error
	w.cpu[i], err = w.process.CPU()
	w.err = errors.Join(w.err, err)
	if !w.silent {
		w.allocs[i], err = w.process.Allocs()
		w.silent = err != nil
	}
	if begins {
		return
	}
	w.rss, err = w.process.Resident()
	w.err = errors.Join(w.err, err)
	w.peak, err = w.process.Peak()
	w.err = errors.Join(w.err, err)
}

// figures returns the figures of n messages in the time d. A busy client calls mark a
// little late, so the time between the marks may differ from d.
func (w *window) figures(n int64, d time.Duration) map[string]float64 {
	f := map[string]float64{
		"rss_mib":  float64(w.rss) / MiB,
		"peak_mib": float64(w.peak) / MiB,
	}
	apart := w.at[1].Sub(w.at[0])
	if n == 0 || apart < d/2 {
		return f
	}
	each := d.Seconds() / apart.Seconds() / float64(n)
	f["cpu_us"] = micro(w.cpu[1]-w.cpu[0]) * each
	if !w.silent {
		f["allocs"] = float64(w.allocs[1]-w.allocs[0]) * each
	}
	return f
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// echo measures a closed loop or an open loop.
func (r *run) echo(ctx context.Context, c *result.Cell, p peers.Peer) (map[string]float64, []string, error) {
	plan := r.planOf(c)
	if c.Kind == result.Open {
		if plan.Rate = c.Share * r.maximum(p); plan.Rate == 0 {
			return nil, nil, errors.New("the maximum rate is not known: the closed loop was not measured")
		}
	}
	proc, err := r.start(ctx, c, p)
	if err != nil {
		return nil, nil, err
	}
	defer proc.Stop()
	w := windowOn(proc)
	plan.Measuring = w.mark
	report, err := load.Run(ctx, plan, urlOf(c, p, proc))
	if err != nil {
		return nil, nil, err
	}
	t := report.Targets[0]
	wrong := sentences(t)
	one := t.Rounds[0]
	if one.Measured == 0 || one.Messages == 0 || w.err != nil {
		return nil, wrong, w.err
	}
	f := w.figures(one.Messages, one.Measured)
	f["rate"] = one.Rate
	f["p50_us"], f["p99_us"] = micro(one.Latency.P50), micro(one.Latency.P99)
	f["p999_us"], f["max_us"] = micro(one.Latency.P999), micro(one.Latency.Max)
	f["client_us"] = micro(one.Processor) / float64(one.Messages)
	f["client_share"] = one.Processor.Seconds() / one.Measured.Seconds() / float64(report.Processors)
	if one.Sent > 0 {
		f["late_share"] = float64(one.SentLate) / float64(one.Sent)
	}
	return f, wrong, nil
}

func urlOf(c *result.Cell, p peers.Peer, proc *measure.Process) string {
	switch {
	case p.Name == rawPeer:
		return "tcp://" + proc.Addr
	case c.TLS:
		return "wss://" + proc.Addr + "/"
	}
	return "ws://" + proc.Addr + "/"
}

func (r *run) planOf(c *result.Cell) load.Plan {
	return load.Plan{
		Connections: c.Connections, Size: c.Size, InFlight: c.InFlight, Compression: c.Compression,
		Duration: r.Duration, Warmup: r.Warmup, Rounds: 1, Timeout: replyTimeout,
		TLS: &tls.Config{InsecureSkipVerify: true}, // the certificate is made for the run
	}
}

// replyTimeout is the longest time that a server may send nothing while replies are due.
const replyTimeout = 15 * time.Second

// sentences describes the failures, without the address, which differs in each round.
func sentences(t *load.Target) (s []string) {
	for _, f := range t.Failures {
		s = append(s, f.String())
	}
	if t.Lost > 0 {
		s = append(s, fmt.Sprintf("%d messages were not echoed", t.Lost))
	}
	if len(s) == 0 && t.Messages == 0 {
		s = append(s, "no message was echoed")
	}
	return s
}

// maximum returns the messages per second of a peer in the closed loop, or 0. One message
// is in flight per connection.
func (r *run) maximum(p peers.Peer) float64 {
	for _, c := range r.Cells {
		if findsMaximum(c) {
			return measure.Sample(c.Of(p.Name).Values("rate")).Median()
		}
	}
	return 0
}
