package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/load/report"
)

// A benchCommand holds the flags of wsecho bench. Its variables begin with
// WSECHO_BENCH, because serve has flags of the same names with another meaning.
type benchCommand struct {
	URLs []string `arg:"" name:"url" help:"ws:// or wss:// URL of any echo server. The others are compared with the first."`

	Connections count `group:"load" env:"WSECHO_BENCH_CONNECTIONS" default:"64" help:"Connections at once."`
	Size        size  `group:"load" env:"WSECHO_BENCH_SIZE" default:"64" zero:"" help:"Length of a message."`
	InFlight    count `group:"load" env:"WSECHO_BENCH_IN_FLIGHT" placeholder:"N" help:"Messages in flight on each connection; 1 unless set. Not with --rate."`
	Rate        rate  `group:"load" env:"WSECHO_BENCH_RATE" placeholder:"N" help:"Messages per second, on all connections together (open loop). Latency counts from the time at which a message is due. Unless set, each echo allows the next message (closed loop)."`
	Text        bool  `group:"load" env:"WSECHO_BENCH_TEXT" xor:"type" help:"Text messages, made of words. This is the default."`
	Binary      bool  `group:"load" env:"WSECHO_BENCH_BINARY" xor:"type" help:"Binary messages, made of random bytes."`
	Compression bool  `group:"load" env:"WSECHO_BENCH_COMPRESSION" help:"Compressed messages. The server must support permessage-deflate."`

	SkipGreeting count `group:"load" env:"WSECHO_BENCH_SKIP_GREETING" placeholder:"N" help:"Messages to ignore that the server sends on each connection before it receives any."`

	Duration duration `group:"time" env:"WSECHO_BENCH_DURATION" default:"2s" help:"Measured time of each server in each round."`
	Warmup   duration `group:"time" env:"WSECHO_BENCH_WARMUP" default:"500ms" off:"" help:"Time before that in which nothing is measured, or off."`
	Rounds   count    `group:"time" env:"WSECHO_BENCH_ROUNDS" default:"5" help:"Rounds. Each round measures the servers one after the other."`
	Timeout  duration `group:"time" env:"WSECHO_BENCH_TIMEOUT" default:"10s" help:"Longest time to connect, and to wait for an echo."`

	clientFlags `embed:"" envprefix:"WSECHO_BENCH_"`

	JSON  bool   `group:"result" name:"json" env:"WSECHO_BENCH_JSON" help:"Print JSON instead of a table."`
	HTML  string `group:"result" name:"html" env:"WSECHO_BENCH_HTML" placeholder:"FILE" help:"Write an HTML page too."`
	Quiet bool   `group:"result" env:"WSECHO_BENCH_QUIET" help:"Print no progress on stderr."`
}

// Help returns the part of the help between its first line and the flags.
func (*benchCommand) Help() string {
	return `Every byte of every echo is compared with the message. The exit code is 0 if all echoes were correct, 1 if not, 2 for a mistake in the arguments. Ctrl-C stops early and prints the result so far.

Each round measures the servers one after the other. Their figures are divided round by round. A ratio that is not significant is marked n.s.

Each flag has an environment variable: --in-flight is WSECHO_BENCH_IN_FLIGHT.`
}

// Run measures the servers and prints the result.
func (f *benchCommand) Run(ctx context.Context, out streams, w warnings) error {
	var err error
	for i, u := range f.URLs {
		if f.URLs[i], err = asciiURL(u); err != nil {
			return err
		}
	}
	plan, err := f.plan()
	if err != nil {
		return err
	}
	if err := plan.Check(f.URLs...); err != nil {
		return flagError(err, benchFlags)
	}
	var page *os.File
	if f.HTML != "" { // created first, so that a wrong path fails at once
		if page, err = os.Create(f.HTML); err != nil {
			return usageError{fmt.Errorf("--html: %w", err)}
		}
		defer page.Close()
	}
	w.print(out)
	p := newProgress(out.stderr)
	if !f.Quiet {
		plan.Progress = p.show
	}
	r, err := load.Run(ctx, plan, f.URLs...)
	p.clear()
	if err != nil {
		return err
	}
	for _, t := range r.Targets {
		for _, sentence := range t.Problems() {
			fmt.Fprintf(out.stderr, "wsecho: %s\n", sentence)
		}
	}
	if page != nil {
		if err := errors.Join(report.HTML(page, r), page.Close()); err != nil {
			return fmt.Errorf("--html: %w", err)
		}
	}
	if f.JSON {
		e := json.NewEncoder(out.stdout)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		err = report.Table(out.stdout, r)
	}
	if err == nil && !r.OK() {
		err = errors.New("not every echo was correct")
	}
	return err
}

// plan returns the plan that the flags ask for.
func (f *benchCommand) plan() (load.Plan, error) {
	header, err := f.header()
	if err != nil {
		return load.Plan{}, err
	}
	config, err := f.tlsConfig()
	if err != nil {
		return load.Plan{}, err
	}
	p := load.Plan{
		Connections:  int(f.Connections),
		Size:         int(f.Size),
		InFlight:     int(f.InFlight),
		Rate:         float64(f.Rate),
		Binary:       f.Binary,
		Compression:  f.Compression,
		SkipGreeting: int(f.SkipGreeting),
		Duration:     time.Duration(f.Duration),
		Warmup:       time.Duration(f.Warmup),
		Rounds:       int(f.Rounds),
		Timeout:      time.Duration(f.Timeout),
		Subprotocols: f.Subprotocol,
		Header:       header,
		TLS:          config,
	}
	if f.Size == 0 {
		p.Size = -1 // 0 is the default there
	}
	return p, nil
}

// benchFlags maps the names of load.Plan to flags.
var benchFlags = map[string]string{
	"Connections":  "--connections",
	"Size":         "--size",
	"InFlight":     "--in-flight",
	"Rate":         "--rate",
	"Binary":       "--binary",
	"Compression":  "--compression",
	"SkipGreeting": "--skip-greeting",
	"Duration":     "--duration",
	"Warmup":       "--warmup",
	"Rounds":       "--rounds",
	"Timeout":      "--timeout",
	"Subprotocols": "--subprotocol",
	"Header":       "--header",
	"TLS":          "--insecure",
}
