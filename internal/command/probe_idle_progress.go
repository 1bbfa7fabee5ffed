package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"example.com/wsecho/internal/number"
	"example.com/wsecho/probe"
)

// idleTick is the default of idleProgress.tick.
const idleTick = 15 * time.Second

// An idleProgress prints the progress of several searches for an idle timeout, until each
// has ended. There is a line for each change. A search without a line for a whole tick gets
// one, because a silence may last for minutes.
type idleProgress struct {
	w     io.Writer // io.Discard: no lines
	tick  time.Duration
	began time.Time

	mu       sync.Mutex // held while w accepts no bytes
	searches []idleShown
}

// An idleShown is what idleProgress has printed of a search.
type idleShown struct {
	result probe.IdleResult
	text   string // of the last change
	silent bool   // no line since the last tick
	ended  bool
}

// newIdleProgress returns the progress of searches that have not begun. Its run must be
// started.
func newIdleProgress(w io.Writer, tick time.Duration, results []probe.IdleResult) *idleProgress {
	p := &idleProgress{w: w, tick: cmp.Or(tick, idleTick), began: time.Now()}
	for _, r := range results {
		p.searches = append(p.searches, idleShown{result: r})
	}
	return p
}

// run prints the lines about searches that do not change, until ctx ends.
func (p *idleProgress) run(ctx context.Context) {
	t := time.NewTicker(p.tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		p.mu.Lock()
		for i := range p.searches {
			if s := &p.searches[i]; s.silent && !s.ended {
				p.print(s)
			}
			p.searches[i].silent = true
		}
		p.mu.Unlock()
	}
}

// changed records what search i knows.
func (p *idleProgress) changed(i int, r probe.IdleResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.searches[i]
	s.result = r
	if text := s.line(); text != s.text {
		s.text = text
		p.print(s)
	}
}

// end records that search i has ended.
func (p *idleProgress) end(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.searches[i].ended = true
}

func (p *idleProgress) print(s *idleShown) {
	s.silent = false
	fmt.Fprintf(p.w, "after %s: %s\n", number.Duration(float64(time.Since(p.began))), s.line())
}

func (s *idleShown) line() string { return silentSide(s.result) + " silent: " + idleRange(s.result) }
