package grid

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/peers"
	"example.com/wsecho/bench/result"
)

// A run is the state of Run.
type run struct {
	Plan
	report *result.Report
	peers  []peers.Peer // the peers that start on this machine
	steps  int          // measurements in total

	connecting sync.Mutex // held while a client opens its idle connections

	mu     sync.Mutex // protects done, failed and the outcomes of cells
	done   int
	failed map[string]int // consecutive rounds without figures, by cell and peer
}

// giveUp is a number of consecutive rounds without figures. After them, Run no longer
// measures the peer in this cell.
const giveUp = 2

// idleAtOnce is the number of servers that have idle connections at the same time.
// Memory and CPU time are read per process, and these measurements mostly wait.
const idleAtOnce = 3

// Run blocks until all measurements are finished or ctx ends. The report contains the
// errors of peers. Run returns an error only if there is no report.
func Run(ctx context.Context, p Plan) (*result.Report, error) {
	machine, err := thisMachine()
	if err != nil {
		return nil, err
	}
	r := &run{Plan: p, failed: map[string]int{}, report: &result.Report{
		Version: result.Version, Began: time.Now().UTC(), Machine: machine, Rounds: p.Rounds, Measured: p.Duration, Cells: p.Cells,
	}}
	r.admit()
	r.count()
	if p.Correctness {
		r.correctness(ctx)
	}
	r.deadPeers(ctx)
	for round := range p.Rounds {
		for _, c := range p.Cells {
			measure := r.measurementOf(c.Kind)
			if measure == nil {
				continue
			}
			var all errgroup.Group
			all.SetLimit(1)
			if c.Kind == result.Idle {
				all.SetLimit(idleAtOnce)
			}
			for i := range r.peers {
				peer := r.peers[(i+round)%len(r.peers)]
				all.Go(func() error {
					if ctx.Err() == nil {
						r.say(fmt.Sprintf("round %d of %d  %s  %s", round+1, p.Rounds, c.ID, peer.Name))
						r.round(ctx, round, c, peer, measure)
					}
					return nil
				})
			}
			_ = all.Wait() // every error is nil
		}
	}
	if p.SystemCalls {
		r.systemCalls(ctx)
	}
	r.report.Interrupted = ctx.Err() != nil
	r.report.Took = time.Since(r.report.Began).Round(time.Second)
	r.addNotes()
	return r.report, nil
}

// A measurement measures a peer in a cell once. It returns the figures, and a sentence
// for each fault.
type measurement = func(ctx context.Context, c *result.Cell, p peers.Peer) (figures map[string]float64, wrong []string, err error)

// measurementOf returns nil for the kinds that are not measured in rounds.
func (r *run) measurementOf(kind string) measurement {
	switch kind {
	case result.Echo, result.Open:
		return r.echo
	case result.Churn:
		return r.churn
	case result.Idle:
		return r.idle
	}
	return nil
}

// admit sets r.peers to the peers that start.
func (r *run) admit() {
	for _, p := range r.Peers {
		known := result.Peer{Name: p.Name, Title: p.Title, Version: p.Version(), Language: p.Language, Note: p.Note, Needs: p.Needs, Batches: p.Batches, Full: p.Full}
		if err := p.Missing(); err != nil {
			known.Skipped = err.Error()
		} else if err := r.tryStart(p); err != nil {
			known.Skipped = fmt.Sprintf("the server does not start: %v", err)
		} else {
			r.peers = append(r.peers, p)
		}
		r.report.Peers = append(r.report.Peers, known)
	}
}

func (r *run) tryStart(p peers.Peer) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	proc, err := p.Start(ctx, r.Tools, peers.Options{})
	if err != nil {
		return err
	}
	proc.Stop()
	return nil
}

// startTime is the longest time that a server may take to listen.
const startTime = 15 * time.Second

// takesPart reports whether a peer runs a cell.
func takesPart(c *result.Cell, p peers.Peer) bool {
	return (c.Chosen || p.Full) && p.Supports(optionsOf(c)) == nil && !(p.Name == rawPeer && c.Kind != result.Echo)
}

const rawPeer = "raw" // not a WebSocket server

func optionsOf(c *result.Cell) peers.Options {
	o := peers.Options{TLS: c.TLS, Compression: c.Compression, Heartbeat: c.Heartbeat}
	if c.Kind == result.Idle && o.Heartbeat == 0 {
		o.Heartbeat = -1 // some servers ping by default
	}
	return o
}

// count sets r.steps.
func (r *run) count() {
	for _, c := range r.Cells {
		for _, p := range r.peers {
			if takesPart(c, p) && r.measurementOf(c.Kind) != nil {
				r.steps += r.Rounds
			}
		}
	}
}

func (r *run) say(what string) {
	if r.Say != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Say(what, min(1, float64(r.done)/float64(max(r.steps, 1))))
	}
}

// round measures a peer in a cell once.
func (r *run) round(ctx context.Context, round int, c *result.Cell, p peers.Peer, measure measurement) {
	if !takesPart(c, p) {
		return
	}
	key := c.ID + " " + p.Name
	r.mu.Lock()
	r.done++
	o := outcome(c, p)
	givenUp := r.failed[key] >= giveUp
	r.mu.Unlock()
	if givenUp {
		return
	}
	figures, wrong, err := measure(ctx, c, p)
	if ctx.Err() != nil {
		return // the run was interrupted
	}
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(o.Rounds) < round {
		o.Rounds = append(o.Rounds, nil) // a round without figures
	}
	r.failed[key]++
	if len(figures) > 0 {
		r.failed[key] = 0
	}
	o.Rounds = append(o.Rounds, figures)
	for _, w := range wrong {
		o.Wrong = append(o.Wrong, fmt.Sprintf("round %d: %s", round+1, w))
	}
	if r.failed[key] == giveUp {
		o.Notes = append(o.Notes, fmt.Sprintf("the measurements of this server stopped after round %d", round+1))
	}
}

// outcome returns the outcome of a peer in c, and adds it if there is none.
func outcome(c *result.Cell, p peers.Peer) *result.Outcome {
	if o := c.Of(p.Name); o != nil {
		return o
	}
	o := &result.Outcome{Peer: p.Name}
	c.Outcomes = append(c.Outcomes, o)
	return o
}

// start starts a peer's process for a cell.
func (r *run) start(ctx context.Context, c *result.Cell, p peers.Peer) (*measure.Process, error) {
	return r.startWith(ctx, p, optionsOf(c))
}

func (r *run) startWith(ctx context.Context, p peers.Peer, o peers.Options) (*measure.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	return p.Start(ctx, r.Tools, o)
}
