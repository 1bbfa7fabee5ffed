// Package checks finds violations of RFC 6455 and RFC 7692 by an echo server. It sends
// what the RFCs forbid or demand, frame by frame, and judges the answers.
//
// If an RFC leaves a choice, each choice is right, and Got says which one the server
// made. A section without the number of an RFC is one of RFC 6455. Checks without a
// section test limits that no RFC demands.
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
	Compression bool        // it accepts permessage-deflate, and is checked for that too
	// Again starts the server again after a check that ended it, and returns its
	// address. If it is nil, the remaining checks are not run.
	Again func(context.Context) (addr string, err error)
}

// patience is how long a server may take for what it must do at once.
const patience = 2 * time.Second

// A check is a row: one or more trials, each on a connection of its own.
type check struct {
	name, title, want string
	trials            []trial
	deflated          bool // only where there is compression
	alone             bool // it might take the server down, or make it slow
	slow              bool // it may take seconds to be right
}

// A trial is what is done on one connection. Its name says what sets it apart
// from the others of its check.
type trial struct {
	name string
	do   func(*target) (verdict, error)
}

// A verdict is what came of a trial. An error instead of it says that nothing
// did.
type verdict struct {
	got   string
	right bool
}

// Run runs all checks against the server at addr and returns them in the order
// of the table. A server that is right is done in about one second, and one that
// is silent where it should not be in about eight; longer where several are checked
// at once, because only one server is flooded at a time. The caller sets Peer.
func Run(ctx context.Context, addr string, o Options) []result.Check {
	s := newTarget(ctx, addr, o)
	rows := slices.DeleteFunc(table(), func(c check) bool { return c.deflated && !o.Compression })
	found := make([]result.Check, len(rows))
	// Without this, a server that does not answer would be tried a hundred times.
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
			found[i].Error = fmt.Sprintf("starting the server anew: %v", err)
		}
	}
	return found
}

// run has the trials at once, or one by one as long as the server is there.
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

// unknown is the check without a result.
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

// summary joins the results of the trials; if some are wrong, only those.
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
