// Package checks finds violations of RFC 6455 and RFC 7692 by an echo server. It sends
// valid and invalid frames, and evaluates the answers.
//
// If an RFC allows several answers, each of them is right, and Got names the server's
// answer. In comments, a section without the number of an RFC is a section of RFC 6455.
// Checks without a section test limits that no RFC demands.
package checks

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/wsecho/bench/result"
	"example.com/wsecho/wstest"
)

// Options describe the server.
type Options struct {
	TLS         *tls.Config // for wss; nil: ws
	Compression bool        // the server accepts permessage-deflate; Run checks that too
	// Again starts the server again after a check that ended it, and returns the new
	// address. If Again is nil, the remaining checks have errors.
	Again func(context.Context) (addr string, err error)
}

// replyTimeout is the longest time for an answer that is due at once.
const replyTimeout = 2 * time.Second

// A check is a row of the table. It has one or more trials, each with a new connection.
type check struct {
	name, title, want string
	trials            []trial
	deflated          bool // only with compression
	alone             bool // it may end the server or make it slow, so it runs alone
	slow              bool // a right answer may take seconds
}

// A trial is a test on one connection. Its name distinguishes it from the other trials of
// its check.
type trial struct {
	name string
	do   func(*target) (verdict, error)
}

// A verdict is the result of a trial. A trial without a result returns an error.
type verdict struct {
	got   string
	right bool
}

// Run runs all checks against the server at addr and returns them in the order of the
// table. It takes about one second for a correct server, and about eight for a silent
// one. Concurrent calls take longer, because only one floods its server at a time. The
// caller sets Peer.
func Run(ctx context.Context, addr string, o Options) []result.Check {
	s := newTarget(ctx, addr, o)
	rows := slices.DeleteFunc(table(), func(c check) bool { return c.deflated && !o.Compression })
	found := make([]result.Check, len(rows))
	// If the server does not accept this connection, Run does not try a hundred others.
	first, err := s.dial(wstest.Dial, "")
	if err != nil {
		for i, c := range rows {
			found[i] = c.unknown()
			found[i].Error = err.Error()
		}
		return found
	}
	first.end()
	var quick, slow sync.WaitGroup
	defer slow.Wait()
	for i, c := range rows {
		switch run := func() { found[i] = c.run(s) }; {
		case c.slow:
			slow.Go(run)
		case !c.alone:
			quick.Go(run)
		}
	}
	quick.Wait()
	for i, c := range rows {
		if !c.alone {
			continue
		}
		var err error
		if s.gone.Load() && o.Again != nil {
			if addr, err = o.Again(ctx); err == nil {
				s = newTarget(ctx, addr, o)
			}
		}
		if found[i] = c.run(s); err != nil {
			found[i].Error = fmt.Sprintf("starting the server again: %v", err)
		}
	}
	return found
}

// run runs the trials at the same time. If the check is alone, it runs one after another,
// until the server accepts no connection.
func (c check) run(s *target) result.Check {
	verdicts, errs := make([]verdict, len(c.trials)), make([]error, len(c.trials))
	var running sync.WaitGroup
	for i, t := range c.trials {
		running.Go(func() { verdicts[i], errs[i] = t.do(s) })
		if c.alone {
			running.Wait()
			if s.gone.Load() {
				verdicts = verdicts[:i+1]
				break
			}
		}
	}
	running.Wait()
	found := c.unknown()
	found.Right = true
	for i, v := range verdicts {
		if errs[i] != nil && found.Error == "" {
			found.Error = c.trials[i].label() + errs[i].Error()
		}
		found.Right = found.Right && v.right && errs[i] == nil
	}
	found.Got = c.summary(verdicts, errs, found.Right)
	return found
}

// unknown returns the check without a result.
func (c check) unknown() result.Check {
	rule := rules[c.name]
	return result.Check{Name: c.name, Title: c.title, Rule: rule.name, Section: rule.section, Want: c.want}
}

func (t trial) label() string {
	if t.name == "" {
		return ""
	}
	return t.name + ": "
}

// summary joins the results of the trials. If some are wrong, it joins only those.
func (c check) summary(verdicts []verdict, errs []error, right bool) string {
	var order []string
	names := make(map[string][]string)
	for i, v := range verdicts {
		if errs[i] != nil || v.right != right {
			continue
		}
		if names[v.got] == nil {
			order = append(order, v.got)
		}
		names[v.got] = append(names[v.got], c.trials[i].name)
	}
	for i, got := range order {
		if n := names[got]; len(n) < len(verdicts) {
			order[i] = strings.Join(n, ", ") + ": " + got
		}
	}
	return strings.Join(order, "; ")
}
