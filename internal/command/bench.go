package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/load/report"
)

// bench are the flags of the command of this name. Their variables are apart from
// those of serve, which has flags of the same names that mean something else.
type bench struct {
	URLs []string `arg:"" name:"url" help:"ws:// or wss:// URL of an echo server, whoever wrote it. The others are compared with the first."`

	Connections count   `group:"load" env:"WSECHO_BENCH_CONNECTIONS" default:"64" help:"Connections at once."`
	Size        size    `group:"load" env:"WSECHO_BENCH_SIZE" default:"64" zero:"" help:"Length of a message."`
	InFlight    count   `group:"load" env:"WSECHO_BENCH_IN_FLIGHT" placeholder:"N" help:"Messages on their way on each connection; 1 unless set. Not with --rate."`
	Rate        float64 `group:"load" env:"WSECHO_BENCH_RATE" placeholder:"N" help:"Messages that are due in a second, on all connections together. Latency counts from when a message is due. Without it, each that comes back makes room for the next."`
	Text        bool    `group:"load" env:"WSECHO_BENCH_TEXT" xor:"type" help:"Text messages, made of words; so it is unless --binary."`
	Binary      bool    `group:"load" env:"WSECHO_BENCH_BINARY" xor:"type" help:"Binary messages, of random bytes."`
	Compression bool    `group:"load" env:"WSECHO_BENCH_COMPRESSION" help:"Compressed messages; the server has to agree to permessage-deflate."`

	Duration duration `group:"time" env:"WSECHO_BENCH_DURATION" default:"2s" help:"How long each round measures each server."`
	Warmup   duration `group:"time" env:"WSECHO_BENCH_WARMUP" default:"500ms" off:"" help:"How long each begins before that."`
	Rounds   count    `group:"time" env:"WSECHO_BENCH_ROUNDS" default:"5" help:"Rounds; servers take turns in each."`
	Timeout  duration `group:"time" env:"WSECHO_BENCH_TIMEOUT" default:"10s" help:"How long connecting may take, and silence while a message is to come."`

	Subprotocol []string `group:"handshake" env:"WSECHO_BENCH_SUBPROTOCOL" placeholder:"NAME" help:"Subprotocol to offer. Repeatable."`
	Header      []string `group:"handshake" env:"WSECHO_BENCH_HEADER" sep:"none" placeholder:"NAME:VALUE" help:"Header to send. Repeatable."`
	Origin      string   `group:"handshake" env:"WSECHO_BENCH_ORIGIN" placeholder:"URL" help:"Origin to send."`
	Insecure    bool     `group:"handshake" env:"WSECHO_BENCH_INSECURE" help:"Believe any certificate."`
	CA          string   `group:"handshake" name:"ca" env:"WSECHO_BENCH_CA" placeholder:"FILE" help:"PEM file with certificates to trust besides the system's."`

	JSON  bool   `group:"result" name:"json" env:"WSECHO_BENCH_JSON" help:"JSON in place of the table."`
	HTML  string `group:"result" name:"html" env:"WSECHO_BENCH_HTML" placeholder:"FILE" help:"A page for browsers, besides."`
	Quiet bool   `group:"result" env:"WSECHO_BENCH_QUIET" help:"No progress on stderr."`
}

// Help is the part of the help between its first line and the flags.
func (*bench) Help() string {
	return `Every byte of every message that comes back is compared with what was sent. The exit code is 0 where all were right, 1 where not, 2 for a mistake in the arguments. Ctrl-C prints what there is so far.

Several servers take turns, round by round. Their figures are divided round by round; a difference that the rounds do not show is called noise.

Each flag has a variable: --in-flight is WSECHO_BENCH_IN_FLIGHT.`
}

// Run measures, and says what it has found.
func (f *bench) Run(ctx context.Context, out output) error {
	plan, err := f.plan()
	if err != nil {
		return usage{err}
	}
	if err := plan.Check(f.URLs...); err != nil {
		return usage{inBenchFlags(err)}
	}
	var page *os.File
	if f.HTML != "" { // before all the work, not after
		if page, err = os.Create(f.HTML); err != nil {
			return fmt.Errorf("--html: %w", err)
		}
		defer page.Close()
	}
	p := newProgress(out.stderr)
	if !f.Quiet {
		plan.Progress = p.show
	}
	r, err := load.Run(ctx, plan, f.URLs...)
	p.end()
	if err != nil {
		return err
	}
	for _, t := range r.Targets {
		for _, sentence := range t.Wrong() {
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
	if err == nil && !r.Right() {
		err = errors.New("not every message came back right")
	}
	return err
}

// plan is what package load is told.
func (f *bench) plan() (load.Plan, error) {
	header, err := headerOf(f.Header, f.Origin)
	if err != nil {
		return load.Plan{}, err
	}
	config, err := tlsOf(f.Insecure, f.CA)
	if err != nil {
		return load.Plan{}, err
	}
	p := load.Plan{
		Connections:  int(f.Connections),
		Size:         int(f.Size),
		InFlight:     int(f.InFlight),
		Rate:         f.Rate,
		Binary:       f.Binary,
		Compression:  f.Compression,
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

// benchFlagOf are the flags by the names of what they set in a load.Plan.
var benchFlagOf = map[string]string{
	"Connections":  "--connections",
	"Size":         "--size",
	"InFlight":     "--in-flight",
	"Rate":         "--rate",
	"Binary":       "--binary",
	"Compression":  "--compression",
	"Duration":     "--duration",
	"Warmup":       "--warmup",
	"Rounds":       "--rounds",
	"Timeout":      "--timeout",
	"Subprotocols": "--subprotocol",
	"Header":       "--header",
	"TLS":          "--insecure",
}

// inBenchFlags is an error of package load in the words of the command line.
func inBenchFlags(err error) error {
	return errors.New(word.ReplaceAllStringFunc(strings.TrimPrefix(err.Error(), "load: "), func(w string) string {
		if flag, ok := benchFlagOf[w]; ok {
			return flag
		}
		return w
	}))
}
