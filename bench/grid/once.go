package grid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/wsecho/bench/checks"
	"example.com/wsecho/bench/deadpeer"
	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/peers"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/load"
)

// checkedAtOnce is low, so that busy processors make no server late.
const checkedAtOnce = 4

// correctness runs the checks against each peer, with compression if the peer supports it.
func (r *run) correctness(ctx context.Context) {
	r.say("checks of correctness")
	found := make([][]result.Check, len(r.peers))
	r.each(checkedAtOnce, func(i int, p peers.Peer) {
		if p.Name == rawPeer {
			return
		}
		o := peers.Options{Strict: true, Compression: p.Supports(peers.Options{Compression: true}) == nil}
		proc, err := r.startWith(ctx, p, o)
		if err != nil {
			found[i] = []result.Check{{Name: "start", Title: "starting", Error: err.Error()}}
			return
		}
		defer func() { proc.Stop() }()
		found[i] = checks.Run(ctx, proc.Addr, checks.Options{Compression: o.Compression, Again: func(ctx context.Context) (string, error) {
			proc.Stop()
			again, err := r.startWith(ctx, p, o)
			if err != nil {
				return "", err
			}
			proc = again
			return proc.Addr, nil
		}})
	})
	for i, p := range r.peers {
		for _, c := range found[i] {
			if c.Error != "" && ctx.Err() != nil {
				continue // the run was interrupted
			}
			c.Peer = p.Name
			r.report.Checks = append(r.report.Checks, c)
		}
	}
}

// deadPeers measures whether servers notice dead clients, and how they shut down. These
// measurements mostly wait, so they run at the same time.
func (r *run) deadPeers(ctx context.Context) {
	var all errgroup.Group
	for _, c := range r.Cells {
		var find finder
		switch {
		case c.Kind == result.Drain:
			find = drain
		case c.Kind != result.Dead:
			continue
		case c.ID == deadPath:
			find = cut
		default:
			find = silent
		}
		r.say("dead clients and graceful shutdown")
		all.Go(func() error {
			r.once(ctx, c, find)
			return nil
		})
	}
	_ = all.Wait() // every error is nil
}

// once measures all peers once in a cell of the kind Dead or Drain.
func (r *run) once(ctx context.Context, c *result.Cell, find finder) {
	outcomes := make([]*result.Outcome, len(r.peers))
	r.each(len(r.peers), func(i int, p peers.Peer) {
		if p.Name == rawPeer {
			return
		}
		o := &result.Outcome{Peer: p.Name}
		options := optionsOf(c)
		if err := p.Supports(options); err != nil && options.Heartbeat > 0 {
			o.Notes = append(o.Notes, err.Error())
			options.Heartbeat = 0
		}
		figures, endings, err := find(ctx, func() (*measure.Process, error) {
			ctx, cancel := context.WithTimeout(ctx, startTime)
			defer cancel()
			return p.Start(ctx, r.Tools, options)
		})
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			o.Notes = append(o.Notes, err.Error())
		case err != nil:
			o.Wrong = append(o.Wrong, err.Error())
		default:
			o.Said = endings
			o.Rounds = append(o.Rounds, figures)
		}
		outcomes[i] = o
	})
	if ctx.Err() != nil {
		return // the run was interrupted
	}
	for _, o := range outcomes {
		if o != nil {
			c.Outcomes = append(c.Outcomes, o)
		}
	}
}

// each calls f for all peers, for atOnce of them at the same time.
func (r *run) each(atOnce int, f func(i int, p peers.Peer)) {
	var all errgroup.Group
	all.SetLimit(atOnce)
	for i, p := range r.peers {
		all.Go(func() error {
			f(i, p)
			return nil
		})
	}
	_ = all.Wait() // every error is nil
}

// A starter starts the server.
type starter = func() (*measure.Process, error)

// A finder returns the figures of a server, and how its connections ended.
type finder = func(ctx context.Context, start starter) (map[string]float64, string, error)

// silent measures a server whose client sends nothing; the client's kernel still answers.
func silent(ctx context.Context, start starter) (map[string]float64, string, error) {
	proc, err := start()
	if err != nil {
		return nil, "", err
	}
	defer proc.Stop()
	noticed, ending, err := deadpeer.Dead(ctx, proc.Addr, deadBound)
	return notice(noticed), ending, err
}

// cut measures a server whose client has a cut network path.
func cut(ctx context.Context, start starter) (map[string]float64, string, error) {
	noticed, err := deadpeer.DeadPath(ctx, start, deadBound)
	return notice(noticed), "", err
}

func notice(after time.Duration) map[string]float64 {
	if after == 0 {
		return nil // the server did not notice
	}
	return map[string]float64{"notice_s": after.Seconds()}
}

func drain(ctx context.Context, start starter) (map[string]float64, string, error) {
	proc, err := start()
	if err != nil {
		return nil, "", err
	}
	defer proc.Stop()
	receivedClose, endings, took, err := deadpeer.Drain(ctx, proc.Addr, drainConnections, proc.Terminate, proc.Ended(), deadBound)
	f := map[string]float64{"received_close": receivedClose}
	if took > 0 { // else the process has not ended
		f["end_s"] = took.Seconds()
	}
	return f, endings, err
}

// systemCalls counts the system calls of small echoes. It uses separate measurements,
// because counting slows a server down.
func (r *run) systemCalls(ctx context.Context) {
	var why error
	for _, c := range r.Cells {
		if c.Kind != result.Echo || !c.Chosen || c.Size > openSize {
			continue
		}
		for _, p := range r.peers {
			if why != nil || ctx.Err() != nil || !takesPart(c, p) || p.Name == rawPeer {
				continue
			}
			r.say(fmt.Sprintf("system calls  %s  %s", c.ID, p.Name))
			n, unsupported, err := r.callsOf(ctx, c, p)
			o := outcome(c, p)
			switch {
			case unsupported != nil:
				why = unsupported
			case err != nil:
				o.Notes = append(o.Notes, fmt.Sprintf("system calls were not counted: %v", err))
			case len(o.Rounds) > 0 && o.Rounds[0] != nil:
				o.Rounds[0]["syscalls"] = n
			}
		}
	}
	if why != nil {
		r.report.Notes = append(r.report.Notes, fmt.Sprintf("System calls were not counted: %v.", why))
	}
}

// callsOf returns the system calls per message. unsupported is the reason why this machine
// cannot count them.
func (r *run) callsOf(ctx context.Context, c *result.Cell, p peers.Peer) (n float64, unsupported, err error) {
	proc, err := r.start(ctx, c, p)
	if err != nil {
		return 0, nil, err
	}
	defer proc.Stop()
	counter, err := proc.SystemCalls()
	if err != nil {
		return 0, err, nil
	}
	plan := r.planOf(c)
	var calls int64
	var began, ended error
	var from time.Time
	var counted time.Duration
	plan.Measuring = func(begins bool) {
		if begins {
			began, from = counter.Begin(), time.Now()
		} else {
			counted = time.Since(from)
			calls, ended = counter.End()
			counter = nil
		}
	}
	report, err := load.Run(ctx, plan, urlOf(c, p, proc))
	if counter != nil { // the measured time did not end
		_, ended = counter.End()
	}
	if err = errors.Join(err, began, ended); err != nil {
		return 0, nil, err
	}
	one := report.Targets[0].Rounds[0]
	if one.Messages == 0 || counted == 0 {
		return 0, nil, errors.New("nothing was echoed")
	}
	return float64(calls) / counted.Seconds() / one.Rate, nil, nil
}
