package grid

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/wsecho/bench/checks"
	"example.com/wsecho/bench/fates"
	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/peers"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/load"
)

// correctness runs the checks against each peer. It is waiting for the most part,
// so they run at once.
func (r *run) correctness(ctx context.Context) {
	r.say("what each does wrong")
	found := make([][]result.Check, len(r.peers))
	r.each(func(i int, p peers.Peer) {
		if p.Name == rawPeer {
			return
		}
		proc, err := r.start(ctx, &result.Cell{}, p)
		if err != nil {
			found[i] = []result.Check{{Name: "start", Title: "starting", Error: err.Error()}}
			return
		}
		defer func() { proc.Stop() }()
		found[i] = checks.Run(ctx, proc.Addr, checks.Options{Again: func(ctx context.Context) (string, error) {
			proc.Stop()
			again, err := r.start(ctx, &result.Cell{}, p)
			if err != nil {
				return "", err
			}
			proc = again
			return proc.Addr, nil
		}})
	})
	for i, p := range r.peers {
		for _, c := range found[i] {
			c.Peer = p.Name
			r.report.Checks = append(r.report.Checks, c)
		}
	}
}

// fates finds out what becomes of dead clients and of a server that is told to end.
func (r *run) fates(ctx context.Context) {
	for _, c := range r.Cells {
		var find func(ctx context.Context, proc *measure.Process) (map[string]float64, string, error)
		switch c.Kind {
		case result.Dead:
			find = dead
		case result.Drain:
			find = drain
		default:
			continue
		}
		r.say(c.Title)
		outcomes := make([]*result.Outcome, len(r.peers))
		r.each(func(i int, p peers.Peer) {
			if p.Name == rawPeer {
				return
			}
			o := &result.Outcome{Peer: p.Name}
			options := optionsOf(c)
			if err := p.Supports(options); err != nil && options.Heartbeat > 0 {
				o.Notes = append(o.Notes, err.Error())
				options.Heartbeat = 0
			}
			start, cancel := context.WithTimeout(ctx, startTime)
			defer cancel()
			proc, err := p.Start(start, r.Tools, options)
			if err == nil {
				defer proc.Stop()
				var figures map[string]float64
				figures, o.Said, err = find(ctx, proc)
				o.Rounds = append(o.Rounds, figures)
			}
			if err != nil {
				o.Wrong = append(o.Wrong, err.Error())
			}
			outcomes[i] = o
		})
		if ctx.Err() != nil {
			return // what has been cut short is not what they do
		}
		for _, o := range outcomes {
			if o != nil {
				c.Outcomes = append(c.Outcomes, o)
			}
		}
	}
}

// each calls f for all peers at once.
func (r *run) each(f func(i int, p peers.Peer)) {
	var all sync.WaitGroup
	for i, p := range r.peers {
		all.Go(func() { f(i, p) })
	}
	all.Wait()
}

func dead(ctx context.Context, proc *measure.Process) (map[string]float64, string, error) {
	noticed, said, err := fates.Dead(ctx, proc.Addr, deadBound)
	if err != nil || noticed == 0 {
		return nil, said, err
	}
	return map[string]float64{"notice_s": noticed.Seconds()}, said, nil
}

func drain(ctx context.Context, proc *measure.Process) (map[string]float64, string, error) {
	told, said, took, err := fates.Drain(ctx, proc.Addr, drainConnections, proc.Terminate, proc.Ended(), deadBound)
	if err != nil {
		return nil, said, err
	}
	return map[string]float64{"told": told, "end_s": took.Seconds()}, said, nil
}

// systemCalls counts them in turns of their own, for counting them slows a server
// down.
func (r *run) systemCalls(ctx context.Context) {
	var why error
	for _, c := range r.Cells {
		if c.Kind != result.Echo || !c.Chosen {
			continue
		}
		for _, p := range r.peers {
			if why != nil || ctx.Err() != nil || !takesPart(c, p) || p.Name == rawPeer {
				continue
			}
			r.say(fmt.Sprintf("system calls  %s  %s", c.ID, p.Name))
			n, cannot, err := r.callsOf(ctx, c, p)
			o := outcome(c, p)
			switch {
			case cannot != nil:
				why = cannot
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

// callsOf returns how many a message takes; cannot is why none can be counted here.
func (r *run) callsOf(ctx context.Context, c *result.Cell, p peers.Peer) (n float64, cannot, err error) {
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
	report, err := load.Run(ctx, plan, "ws://"+proc.Addr+"/")
	if counter != nil { // it did not come to that
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
