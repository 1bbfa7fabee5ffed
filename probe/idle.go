package probe

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/handshake"
)

// DefaultMaxIdle is the default of IdleOptions.Max.
const DefaultMaxIdle = 10 * time.Minute

const (
	minIdle     = 200 * time.Millisecond // the shortest silence that FindIdle tries
	idleTrials  = 8                      // connections at once
	idleNear    = 1.02                   // FindIdle ends if failed and survived differ by 2 %
	maxSearches = 50                     // rounds, far more than are needed
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
	Failed     time.Duration // the shortest silence that ended a connection; 0: none did
	Trials     int           // connections
	ServerSent bool          // the server sent something during a silence

	// Seen means that a connection was seen to end during a silence. Otherwise only the
	// pings after the silences had no answer. Code and Reason are those of a close frame;
	// 0 is none.
	Seen   bool
	Code   int
	Reason string
}

// FindIdle finds the longest silence that the path to a server survives. It opens eight
// connections at once, and each is silent for another time and then sends a ping. The next
// eight divide the range that is left, until Failed is less than 2 % longer than Survived.
// It takes about three times the silence that it finds. It blocks until then, or until ctx
// ends.
//
// The error is that of [Run], up to the handshake, or the cause of ctx. The result is
// valid with an error too.
func FindIdle(ctx context.Context, rawURL string, o IdleOptions) (IdleResult, error) {
	o.Max = cmp.Or(o.Max, DefaultMaxIdle)
	r := IdleResult{Silent: o.Silent}
	if o.Max < time.Second || o.Max > maxTimeout {
		return r, fmt.Errorf("probe: %w", handshake.WrongField("Max", "%v is not from 1s to %v", o.Max, maxTimeout))
	}
	for range maxSearches {
		low, high := max(r.Survived, minIdle), cmp.Or(r.Failed, o.Max)
		if r.Failed > 0 && (float64(high) <= float64(low)*idleNear || high <= minIdle) || r.Failed == 0 && r.Survived >= o.Max {
			return r, nil
		}
		if err := o.round(ctx, rawURL, &r, low, high); err != nil {
			return r, err
		}
	}
	return r, errors.New("probe: the silences that end a connection differ from one connection to the next")
}

// round tries silences between low and high at once.
func (o IdleOptions) round(ctx context.Context, rawURL string, r *IdleResult, low, high time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failure error
	stop := make([]context.CancelFunc, idleTrials)
	silences := make([]time.Duration, idleTrials)
	factor := math.Pow(float64(high)/float64(low), 1/float64(idleTrials))
	for i := range idleTrials {
		silences[i] = time.Duration(float64(low) * math.Pow(factor, float64(i+1)))
		if r.Failed > 0 { // high has failed, so the last one is below it
			silences[i] = time.Duration(float64(low) * math.Pow(float64(high)/float64(low), float64(i+1)/float64(idleTrials+1)))
		}
	}
	ctxs := make([]context.Context, idleTrials)
	for i := range idleTrials {
		ctxs[i], stop[i] = context.WithCancel(ctx)
		defer stop[i]()
	}
	for i, silence := range silences {
		wg.Go(func() {
			t := o.trial(ctxs[i], rawURL, silence)
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
				r.Survived = max(r.Survived, silence)
			case r.Failed == 0 || t.silence < r.Failed:
				r.Failed, r.Seen = t.silence, r.Seen || t.seen
				if t.code != 0 {
					r.Code, r.Reason = t.code, t.reason
				}
				for j := range silences { // longer silences cannot survive
					if silences[j] > t.silence {
						stop[j]()
					}
				}
			}
			r.Trials++
			r.ServerSent = r.ServerSent || t.serverSent
			if o.OnProgress != nil {
				o.OnProgress(*r)
			}
		})
	}
	wg.Wait()
	if r.Failed > 0 && r.Survived >= r.Failed { // the path is not exact
		r.Survived = time.Duration(float64(r.Failed) / idleNear)
	}
	return failure
}

// An idleTrial is the result of one connection.
type idleTrial struct {
	silence    time.Duration // up to the end, or the whole one
	survived   bool
	seen       bool
	code       int
	reason     string
	serverSent bool
	err        error
}

// trial opens a connection, is silent, and sends a ping.
func (o IdleOptions) trial(parent context.Context, rawURL string, silence time.Duration) (t idleTrial) {
	p, ctx, cancel, err := newProbing(parent, rawURL, o.Connect)
	if err != nil {
		return idleTrial{err: err}
	}
	defer cancel()
	if err := p.run(ctx, stepFunc{Connect, p.connect}, stepFunc{TLS, p.secure}, stepFunc{Handshake, p.handshake}); err != nil {
		p.teardown(ctx, false)
		return idleTrial{err: err}
	}
	tcp := p.conn.tcp
	defer func() {
		_ = tcp.SetWriteDeadline(time.Now().Add(time.Second))
		_ = p.conn.write(frame.Close, normalClosure)
		_ = tcp.Close()
	}()
	p.conn.stop()
	_ = tcp.SetDeadline(time.Time{})
	defer context.AfterFunc(parent, func() { _ = tcp.SetReadDeadline(past) })()

	began := time.Now()
	until := began.Add(silence)
	step := max(min(silence/20, time.Second), 20*time.Millisecond)
	next := began.Add(step) // the time of a pong of this side
	for {
		wait := until
		if o.Silent == ServerSilent && next.Before(until) {
			wait = next
		}
		ended, m, err := p.conn.within(wait, p.o.Timeout)
		switch {
		case parent.Err() != nil:
			return idleTrial{err: context.Cause(parent)}
		case ended || m.opcode == frame.Close:
			t.silence, t.seen = time.Since(began), true
			if m.opcode == frame.Close && err == nil {
				code, reason, _ := frame.ParseClose(m.bytes)
				t.code, t.reason = code, string(reason)
			}
			return t
		case err == nil: // a frame by the server
			t.serverSent = true
			if o.Silent == ServerSilent && m.opcode == frame.Ping {
				_ = p.conn.write(frame.Pong, m.bytes)
			}
			continue
		}
		if time.Now().Before(until) {
			_ = tcp.SetWriteDeadline(time.Now().Add(p.o.Timeout))
			if p.conn.write(frame.Pong, nil) != nil {
				t.silence, t.seen = time.Since(began), true
				return t
			}
			next = time.Now().Add(step)
			continue
		}
		break
	}
	t.silence = silence
	nonce := []byte(rand.Text())
	limit := time.Now().Add(p.o.Timeout)
	_ = tcp.SetWriteDeadline(limit)
	if p.conn.write(frame.Ping, nonce) != nil {
		return t
	}
	for {
		ended, m, err := p.conn.within(limit, p.o.Timeout)
		switch {
		case parent.Err() != nil:
			return idleTrial{err: context.Cause(parent)}
		case ended || err != nil || m.opcode == frame.Close:
			return t
		case m.opcode == frame.Pong && string(m.bytes) == string(nonce):
			t.survived = true
			return t
		}
	}
}

// within reads a frame that begins before a time. The rest of the frame may take timeout.
// ended reports that the stream has ended or is wrong. Without a frame, err is
// os.ErrDeadlineExceeded.
func (c *conn) within(begins time.Time, timeout time.Duration) (ended bool, m message, err error) {
	_ = c.tcp.SetReadDeadline(begins)
	if _, err := c.br.Peek(1); err != nil {
		return !errors.Is(err, os.ErrDeadlineExceeded), message{}, err
	}
	_ = c.tcp.SetReadDeadline(time.Now().Add(timeout))
	m, err = c.frame()
	return err != nil, m, err
}
