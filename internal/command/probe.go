package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/wsecho/ending"
	"example.com/wsecho/probe"
)

// A probeCommand holds the flags of wsecho probe.
type probeCommand struct {
	URLs []string `arg:"" name:"url" help:"ws:// or wss:// URL of any server. Several are probed side by side."`

	Count     count  `group:"load" env:"WSECHO_PROBE_COUNT" placeholder:"N" help:"Pings to send; no limit unless set."`
	Echo      string `group:"load" env:"WSECHO_PROBE_ECHO" enum:"off,beside,only" default:"off" help:"Messages that the server must echo: off, beside the pings, or only messages. Another connection then tests whether the server itself answers pings."`
	MaxMissed count  `group:"load" env:"WSECHO_PROBE_MAX_MISSED" default:"2" zero:"" help:"Pings in a row that may be missed. After one more, with nothing received, the connection ends as no pong."`
	Reconnect bool   `group:"load" env:"WSECHO_PROBE_RECONNECT" help:"Connect again after an end or a failure, and count the gaps."`

	Interval duration `group:"time" env:"WSECHO_PROBE_INTERVAL" default:"1s" help:"Time from one ping to the next."`
	Timeout  duration `group:"time" env:"WSECHO_PROBE_TIMEOUT" default:"5s" help:"Longest time to connect, and to wait for a reply. A later reply is late."`
	Deadline duration `group:"time" env:"WSECHO_PROBE_DEADLINE" placeholder:"DURATION" help:"Time for everything, with the closing handshake; no limit unless set."`

	FindIdleTimeout bool     `group:"idle" env:"WSECHO_PROBE_FIND_IDLE_TIMEOUT" help:"Find the longest silence that the path to the server survives, in place of the pings. It takes minutes."`
	MaxIdle         duration `group:"idle" env:"WSECHO_PROBE_MAX_IDLE" default:"10m" help:"Longest silence to try."`

	clientFlags  `embed:"" envprefix:"WSECHO_PROBE_"`
	connectFlags `embed:"" envprefix:"WSECHO_PROBE_"`

	Quiet bool `group:"result" env:"WSECHO_PROBE_QUIET" help:"Print only the summary."`
	JSON  bool `group:"result" name:"json" env:"WSECHO_PROBE_JSON" xor:"form" help:"Print one line of JSON for each event, and one for each summary."`
	Plot  bool `group:"result" env:"WSECHO_PROBE_PLOT" xor:"form" help:"Plot the round-trip times live. Stdout must be a terminal, and there must be one URL."`

	idleTick time.Duration // as in idleProgress; 0: the default
}

// exitLost is the exit code of wsecho probe for a lost reply, or no reply at all.
const exitLost = 6

// probeFlags maps the names of probe.WatchOptions to flags.
var probeFlags = map[string]string{"Timeout": "--timeout", "Subprotocols": "--subprotocol", "Header": "--header", "Interval": "--interval", "Count": "--count", "Deadline": "--deadline", "Max": "--max-idle"}

// Help returns the part of the help between its first line and the flags.
func (*probeCommand) Help() string {
	return `wsecho probe connects, sends a ping per interval and prints a line for each pong. At the end, or after Ctrl-C, it prints a summary: the counts, the round-trip times, and how the connection ended. No server can prolong a timeout.

The exit code is 0 if the connection was closed normally and no reply was lost. 3 to 5 are as in wsecho check: 3 connecting, 4 TLS, 5 the handshake. 6 means lost replies or none. 7 means a close code other than 1000, or no answer to the close frame. 8 means going away (1001), 9 an end without a close frame, 10 a violation of the protocol. 2 is a mistake in the arguments, 1 is any other error. With several URLs it is the code of the first one that is not 0.

It uses the proxies of the environment; --proxy=none prevents that. Redirects are not followed. Each flag has an environment variable: --count is WSECHO_PROBE_COUNT.`
}

// Run probes the servers and prints events and summaries.
func (f *probeCommand) Run(ctx context.Context, out streams, w warnings) error {
	jobs, err := f.jobs()
	if err != nil {
		return err
	}
	if f.Plot && (len(jobs) > 1 || !isTerminal(out.stdout)) {
		return usageError{errors.New("--plot: stdout must be a terminal, and there must be one URL")}
	}
	if f.FindIdleTimeout && len(jobs) > 1 {
		return usageError{errors.New("--find-idle-timeout: there must be one URL")}
	}
	w.print(out)
	if f.FindIdleTimeout {
		return f.findIdle(ctx, out, jobs[0])
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p := &probePrinter{w: out.stdout, f: f, several: len(jobs) > 1, stop: stop}
	if f.Plot {
		p.plot = newPlot(out.stdout)
	}
	var g errgroup.Group
	for _, j := range jobs {
		g.Go(func() error {
			o := j.options
			o.OnEvent = func(e probe.Event) { p.event(j, e) }
			var err error
			j.result, err = probe.Watch(ctx, j.address, o)
			return err
		})
		g.Go(func() error { j.findPongs(ctx); return nil })
	}
	if err := g.Wait(); err != nil {
		return flagError(err, probeFlags)
	}
	p.summaries(jobs)
	if p.err != nil {
		return p.err
	}
	for _, j := range jobs {
		if code := j.result.ExitCode(); code != 0 {
			text, printed := verdict(j.result)
			printed = printed && !f.JSON && !p.silent(j)
			err := fmt.Errorf("%s: %s", j.result.URL, text)
			if j.result.Err != nil {
				err = certificateHint(fmt.Errorf("%s: %w", j.result.URL, j.result.Err))
			}
			return exitError{err, code, printed}
		}
	}
	return nil
}

// A probeJob is the probe of one server.
type probeJob struct {
	address string
	name    string // without a password
	options probe.WatchOptions
	rtts    rttHistograms
	result  probe.Watched

	pongs    probe.PongSource
	pongsWhy string // a sentence
}

// findPongs finds the source of pongs, on a connection of its own. Only a server that
// echoes can be tested.
func (j *probeJob) findPongs(ctx context.Context) {
	o := j.options
	if o.Echo == probe.NoEcho {
		j.pongsWhy = "the server and something in between look the same without --echo"
		return
	}
	if o.Deadline > 0 {
		o.Connect.Timeout = min(o.Connect.Timeout, o.Deadline)
	}
	var err error
	if j.pongs, j.pongsWhy, err = probe.Pongs(ctx, j.address, o.Connect); err != nil {
		j.pongsWhy = err.Error()
	}
}

// jobs returns a job for each URL.
func (f *probeCommand) jobs() ([]*probeJob, error) {
	header, err := f.header()
	if err != nil {
		return nil, err
	}
	config, err := f.tlsConfig()
	if err != nil {
		return nil, err
	}
	var jobs []*probeJob
	for _, text := range f.URLs {
		address, err := asciiURL(text)
		if err != nil {
			return nil, err
		}
		dial, err := f.dialer(address, environmentProxy, config)
		if err != nil {
			return nil, err
		}
		j := &probeJob{address: address, name: address, options: probe.WatchOptions{
			Connect: probe.Options{
				Timeout: time.Duration(f.Timeout), Header: header, Subprotocols: f.Subprotocol, TLS: config, DialContext: dial,
			},
			Interval:  time.Duration(f.Interval),
			Count:     int(f.Count),
			Deadline:  time.Duration(f.Deadline),
			MaxMissed: cmp.Or(int(f.MaxMissed), -1),
			Echo:      map[string]probe.EchoMode{"beside": probe.EchoBeside, "only": probe.EchoOnly}[f.Echo],
			Reconnect: f.Reconnect,
		}}
		if err := j.options.Check(address); err != nil {
			return nil, flagError(err, probeFlags)
		}
		if u, err := url.Parse(address); err == nil {
			j.name = u.Redacted()
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// verdict returns a sentence, without its subject, about a result that is not good. printed
// reports that the summary has it too.
func verdict(r probe.Watched) (text string, printed bool) {
	switch {
	case r.Err != nil:
		return r.Err.Error(), true
	case r.End == nil:
		return "no connection was opened", false
	}
	code := r.ExitCode()
	if lost := r.Pings.Lost + r.Echoes.Lost; code == exitLost && r.End.Kind != ending.NoPong {
		switch {
		case lost == 0 && r.Pings.Pending > 0 && r.Pings.Received == 0:
			return "no ping was answered before the end", false
		case lost == 0:
			return "no message was echoed before the end", false
		}
		return fmt.Sprintf("replies were lost: %d of %d", lost, r.Pings.Sent+r.Echoes.Sent), false
	}
	return "the connection ended: " + endText(*r.End), true
}
