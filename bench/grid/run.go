package grid

import (
	"context"
	"fmt"
	"time"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/peers"
	"example.com/wsecho/bench/result"
)

// A run is one that goes on.
type run struct {
	Plan
	report *result.Report
	peers  []peers.Peer // that are there
	steps  int          // of all
	done   int
	failed map[string]int // rounds in a row, by cell and peer
}

// giveUp is after how many rounds in a row that went wrong a cell is left to the
// others.
const giveUp = 2

// Run measures until all is done or ctx is over. What goes wrong with a peer is in
// the report; an error is for what keeps the comparison from being made.
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
			turn := r.turnOf(c.Kind)
			if turn == nil {
				continue
			}
			for i := range r.peers {
				if ctx.Err() != nil {
					break
				}
				peer := r.peers[(i+round)%len(r.peers)]
				r.say(fmt.Sprintf("round %d of %d  %s  %s", round+1, p.Rounds, c.ID, peer.Name))
				r.round(ctx, round, c, peer, turn)
			}
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

// A turn is a peer's in a round: its figures, and what went wrong.
type turn = func(ctx context.Context, c *result.Cell, p peers.Peer) (figures map[string]float64, wrong []string, err error)

func (r *run) turnOf(kind string) turn {
	switch kind {
	case result.Echo, result.Open:
		return r.echo
	case result.Churn:
		return r.churn
	case result.Idle:
		return r.idle
	}
	return nil // once, not in rounds
}

// admit sorts out who can be started.
func (r *run) admit() {
	for _, p := range r.Peers {
		known := result.Peer{Name: p.Name, Title: p.Title, Version: p.Version(), Language: p.Language, Note: p.Note, Full: p.Full}
		if err := p.Missing(); err != nil {
			known.Skipped = err.Error()
		} else if err := r.startsAtAll(p); err != nil {
			known.Skipped = fmt.Sprintf("it does not start: %v", err)
		} else {
			r.peers = append(r.peers, p)
		}
		r.report.Peers = append(r.report.Peers, known)
	}
}

func (r *run) startsAtAll(p peers.Peer) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	proc, err := p.Start(ctx, r.Tools, peers.Options{})
	if err != nil {
		return err
	}
	proc.Stop()
	return nil
}

// startTime is how long a server may take to listen.
const startTime = 15 * time.Second

// takesPart reports whether a peer runs a cell.
func takesPart(c *result.Cell, p peers.Peer) bool {
	return (c.Chosen || p.Full || c.TLS && p.Name == embeddedPeer) && p.Supports(optionsOf(c)) == nil && !(p.Name == rawPeer && c.Kind != result.Echo)
}

const (
	rawPeer      = "raw"      // speaks no WebSocket
	embeddedPeer = "embedded" // takes the place of wsecho over TLS, which that leaves to others
)

func optionsOf(c *result.Cell) peers.Options {
	o := peers.Options{TLS: c.TLS, Compression: c.Compression, Heartbeat: c.Heartbeat}
	if c.Kind == result.Idle && o.Heartbeat == 0 {
		o.Heartbeat = -1 // and not what some do by themselves
	}
	return o
}

// count finds out how many steps there are.
func (r *run) count() {
	for _, c := range r.Cells {
		for _, p := range r.peers {
			if takesPart(c, p) && r.turnOf(c.Kind) != nil {
				r.steps += r.Rounds
			}
		}
	}
}

func (r *run) say(what string) {
	if r.Say != nil {
		r.Say(what, min(1, float64(r.done)/float64(max(r.steps, 1))))
	}
}

// round is one peer's turn in one cell.
func (r *run) round(ctx context.Context, round int, c *result.Cell, p peers.Peer, t turn) {
	if !takesPart(c, p) {
		return
	}
	r.done++
	o := outcome(c, p)
	key := c.ID + " " + p.Name
	if r.failed[key] >= giveUp {
		return
	}
	figures, wrong, err := t(ctx, c, p)
	if ctx.Err() != nil {
		return // half a turn is none
	}
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	for len(o.Rounds) < round {
		o.Rounds = append(o.Rounds, nil) // one that went wrong
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
		o.Notes = append(o.Notes, fmt.Sprintf("after round %d it was not measured here any more", round+1))
	}
}

// outcome is that of a peer, new or not.
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
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	return p.Start(ctx, r.Tools, optionsOf(c))
}
