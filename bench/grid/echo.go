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

// A window reads what a process uses between two moments.
type window struct {
	process *measure.Process
	err     error
	at      [2]time.Time
	cpu     [2]time.Duration
	allocs  [2]uint64
	silent  bool // the process cannot tell what it allocates
	rss     int64
	peak    int64
}

// windowOn is one that has not begun. A process that does not answer what it allocates
// is found out now: to wait for it later would be a part of what is measured.
func windowOn(p *measure.Process) *window {
	_, err := p.Allocs()
	return &window{process: p, silent: err != nil}
}

// mark is for load.Plan.Measuring.
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

// figures are those of n messages in the time d. A client that has a lot to do comes
// to its marks a little late, and then they are not d apart.
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

// echo is a closed loop, or an open one.
func (r *run) echo(ctx context.Context, c *result.Cell, p peers.Peer) (map[string]float64, []string, error) {
	plan := r.planOf(c)
	if c.Kind == result.Open {
		if plan.Rate = c.Share * r.maximum(p); plan.Rate == 0 {
			return nil, nil, errors.New("its maximum is not known, for the closed loop was not measured")
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
		Duration: r.Duration, Warmup: r.Warmup, Rounds: 1, Timeout: silence,
		TLS: &tls.Config{InsecureSkipVerify: true}, // the certificate is made for the run
	}
}

// silence is how long a server may be silent while messages are on their way.
const silence = 15 * time.Second

// sentences are what went wrong, without the address, which is another one each time.
func sentences(t *load.Target) (s []string) {
	for _, f := range t.Failures {
		s = append(s, f.String())
	}
	if t.Lost > 0 {
		s = append(s, fmt.Sprintf("%d messages never came back", t.Lost))
	}
	if len(s) == 0 && t.Messages == 0 {
		s = append(s, "no message came back")
	}
	return s
}

// maximum is how many messages a second a peer has echoed in a closed loop, where
// each connection has one on its way.
func (r *run) maximum(p peers.Peer) float64 {
	for _, c := range r.Cells {
		if findsMaximum(c) {
			return measure.Sample(c.Of(p.Name).Values("rate")).Median()
		}
	}
	return 0
}
