package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"example.com/wsecho/internal/handshake"
)

// DefaultMaxIdle is the default of IdleOptions.Max.
const DefaultMaxIdle = 10 * time.Minute

const (
	minIdle     = 200 * time.Millisecond // the shortest silence that FindIdle tries
	idleTrials  = 8                      // connections at once
	idleNear    = 1.02                   // FindIdle ends if failed and survived differ by 2 %
	maxSearches = 50                     // rounds, far more than are needed
	maxRefuted  = 5                      // ends of connections that had another reason
)

// A Silence is the side that sends nothing.
type Silence int

const (
	// BothSilent means that neither side sends anything. If the server sends something by
	// itself, only the client is silent. It then answers no ping.
	BothSilent Silence = iota
	// ServerSilent means that the client sends unsolicited pongs (RFC 6455, section 5.5.3),
	// and the server sends nothing.
	ServerSilent
)

// IdleOptions configure [FindIdle].
type IdleOptions struct {
	// Connect is about the connections. Its Timeout is the longest time to open one, and
	// to wait for the pong after a silence. Its Ping has no effect.
	Connect Options
	// Silent is the side that sends nothing.
	Silent Silence
	// Max is the longest silence to try. Zero means DefaultMaxIdle. FindIdle refuses less
	// than a second.
	Max time.Duration
	// OnProgress is called after each trial, one call at a time; nil: not called.
	OnProgress func(IdleResult)
}

// An IdleResult is what FindIdle knows.
type IdleResult struct {
	Silent     Silence
	Survived   time.Duration // the longest silence after which a ping was answered
	Failed     time.Duration // the shortest silence that ended two connections; 0: none did
	Trials     int           // connections
	ServerSent bool          // the server sent something during a silence

	// Seen means that the connection of Failed was seen to end, during its silence or as the
	// ping was sent. Otherwise the ping had no answer, or a reset. Code and Reason are those
	// of a close frame; 0 is none.
	Seen   bool
	Code   int
	Reason string
}

// FindIdle finds the longest silence that the path to a server survives. It opens eight
// connections at once, and each is silent for another time and then sends a ping. The next
// eight divide the range that is left, until Failed is less than 2 % longer than Survived.
// A last connection must end too, because the server may have ended one for another reason.
// Otherwise the search continues with longer silences. It takes about four times the
// silence that it finds. It blocks until then, or until ctx ends.
//
// The error is that of [Run], up to the handshake, or the cause of ctx. It is another one if
// connections end for other reasons too often. The result is valid with an error too. The
// Failed of an unfinished search may be that of one connection.
func FindIdle(ctx context.Context, rawURL string, o IdleOptions) (IdleResult, error) {
	o.Max = cmp.Or(o.Max, DefaultMaxIdle)
	s := idleSearch{o: o, rawURL: rawURL, r: IdleResult{Silent: o.Silent}}
	if o.Max < time.Second || o.Max > maxTimeout {
		return s.r, fmt.Errorf("probe: %w", handshake.WrongField("Max", "%v is not from 1s to %v", o.Max, maxTimeout))
	}
	for range maxSearches {
		r := &s.r
		low, high := max(r.Survived, minIdle), cmp.Or(r.Failed, o.Max)
		if r.Failed == 0 && r.Survived >= o.Max {
			return *r, nil
		}
		if r.Failed > 0 && (near(low, high) || high <= minIdle) {
			if done, err := s.confirm(ctx); done || err != nil {
				return *r, err
			}
		} else if err := s.round(ctx, low, high); err != nil {
			return *r, err
		}
		if s.refuted > maxRefuted {
			break
		}
	}
	return s.r, errors.New("probe: the silences that end a connection differ from one connection to the next")
}

// near reports whether high is less than 2 % longer than low.
func near(low, high time.Duration) bool { return float64(high) <= float64(low)*idleNear }

// An idleSearch is one call of FindIdle.
type idleSearch struct {
	o      IdleOptions
	rawURL string

	r       IdleResult
	earlier []idleTrial // the values of r.Failed before, the longest first
	refuted int         // values of r.Failed that were none
}

// fail records the shortest silence that ended a connection.
func (s *idleSearch) fail(t idleTrial) {
	if s.r.Failed > 0 {
		s.earlier = append(s.earlier, idleTrial{silence: s.r.Failed, seen: s.r.Seen, code: s.r.Code, reason: s.r.Reason})
	}
	s.setFailed(t)
}

// survive records a silence that a connection has survived. It refutes shorter ones that
// ended one.
func (s *idleSearch) survive(silence time.Duration) {
	s.r.Survived = max(s.r.Survived, silence)
	if s.r.Failed == 0 || s.r.Survived < s.r.Failed {
		return
	}
	if near(s.r.Failed, s.r.Survived) { // the path is not exact
		s.r.Survived = time.Duration(float64(s.r.Failed)/idleNear) + 1
		return
	}
	s.refute()
}

// refute replaces r.Failed by the least earlier one that is longer than r.Survived.
func (s *idleSearch) refute() {
	s.refuted++
	var last idleTrial
	for len(s.earlier) > 0 && last.silence == 0 {
		last, s.earlier = s.earlier[len(s.earlier)-1], s.earlier[:len(s.earlier)-1]
		if last.silence <= s.r.Survived {
			last = idleTrial{}
		}
	}
	s.setFailed(last)
}

func (s *idleSearch) setFailed(t idleTrial) {
	s.r.Failed, s.r.Seen, s.r.Code, s.r.Reason = t.silence, t.seen, t.code, t.reason
}

// foreign reports whether a connection has ended for another reason than its silence.
func (s *idleSearch) foreign(t idleTrial) bool {
	return t.silence < s.r.Survived && !near(t.silence, s.r.Survived)
}

// confirm tries r.Failed with another connection. done reports that it has ended too.
func (s *idleSearch) confirm(ctx context.Context) (done bool, err error) {
	// The silence is a little longer, because the path may be not exact.
	silence := min(time.Duration(float64(s.r.Failed)*idleNear*idleNear), s.o.Max)
	t := s.o.trial(ctx, s.rawURL, silence)
	if t.err != nil {
		return false, t.err
	}
	s.r.Trials++
	s.r.ServerSent = s.r.ServerSent || t.serverSent
	switch {
	case t.survived:
		s.r.Survived = max(s.r.Survived, silence)
		s.refute()
	case s.foreign(t):
		s.refuted++
	default:
		t.silence, done = min(t.silence, s.r.Failed), true
		s.setFailed(t)
		s.survive(0) // if it was a little shorter than r.Survived
	}
	if s.o.OnProgress != nil {
		s.o.OnProgress(s.r)
	}
	return done, nil
}

// round tries silences between low and high at once.
func (s *idleSearch) round(ctx context.Context, low, high time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failure error
	foreign := 0
	stop := make([]context.CancelFunc, idleTrials)
	silences := make([]time.Duration, idleTrials)
	factor := math.Pow(float64(high)/float64(low), 1/float64(idleTrials))
	for i := range idleTrials {
		silences[i] = time.Duration(float64(low) * math.Pow(factor, float64(i+1)))
		if s.r.Failed > 0 { // high has failed, so the last one is below it
			silences[i] = time.Duration(float64(low) * math.Pow(float64(high)/float64(low), float64(i+1)/float64(idleTrials+1)))
		}
	}
	if s.r.Failed == 0 {
		silences[idleTrials-1] = high // not a little less
	}
	ctxs := make([]context.Context, idleTrials)
	for i := range idleTrials {
		ctxs[i], stop[i] = context.WithCancel(ctx)
		defer stop[i]()
	}
	for i, silence := range silences {
		wg.Go(func() {
			t := s.o.trial(ctxs[i], s.rawURL, silence)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case t.err != nil:
				if ctxs[i].Err() == nil || ctx.Err() != nil {
					if failure == nil {
						failure = t.err
					}
					cancel(t.err)
				}
				return
			case t.survived:
				s.survive(silence)
			case s.foreign(t):
				foreign = 1
			case s.r.Failed == 0 || t.silence < s.r.Failed:
				s.fail(t)
				s.survive(0)
				for j := range silences { // longer silences cannot survive
					if silences[j] > t.silence {
						stop[j]()
					}
				}
			}
			s.r.Trials++
			s.r.ServerSent = s.r.ServerSent || t.serverSent
			if s.o.OnProgress != nil {
				s.o.OnProgress(s.r)
			}
		})
	}
	wg.Wait()
	s.refuted += foreign
	return failure
}
