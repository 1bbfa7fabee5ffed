// Command bench compares WebSocket servers.
//
//	go run . run                  # the comparison, in about 22 minutes
//	go run . run --quick          # a shorter run, in about 8 minutes
//	go run . report results.json  # the results as Markdown and HTML
//	go run . list                 # the servers and the workloads
//	go run . serve gws            # one of the servers, until standard input ends
//
// The exit code is 0 if every message was echoed correctly, 1 if not, and 2 for a usage
// error.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"example.com/wsecho/bench/peers"
)

type commandLine struct {
	Run    runCommand    `cmd:"" help:"Measure the servers and write the results to a file."`
	Report reportCommand `cmd:"" help:"Write Markdown, HTML and plots of that file."`
	List   listCommand   `cmd:"" help:"List the servers and the workloads."`
	Serve  serveCommand  `cmd:"" help:"Run one of the servers until standard input ends."`
}

// A usage error ends the program with exit code 2.
type usage struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the process
	var line commandLine
	parser := kong.Must(&line, kong.Name("bench"), kong.Description("Compares WebSocket servers."), kong.BindTo(ctx, (*context.Context)(nil)))
	parsed, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v; bench --help lists the commands and flags\n", err)
		os.Exit(2)
	}
	if err := parsed.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		if errors.As(err, &usage{}) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

type serveCommand struct {
	Server      string        `arg:"" help:"Name of the server; list prints the names."`
	TLS         bool          `name:"tls" help:"Use TLS, with a certificate made for the run."`
	Compression bool          `help:"Accept permessage-deflate."`
	Strict      bool          `help:"Enable options of the library that RFC 6455 demands."`
	Heartbeat   time.Duration `placeholder:"DURATION" help:"Interval of pings. Unset: the server's default. Negative: no pings."`
}

func (s *serveCommand) Run() error {
	o := peers.Options{TLS: s.TLS, Compression: s.Compression, Strict: s.Strict, Heartbeat: s.Heartbeat}
	p, ok := peers.Find(s.Server)
	if !ok {
		return usage{fmt.Errorf("there is no server %q; bench list lists them", s.Server)}
	}
	if err := p.Supports(o); err != nil {
		return usage{err}
	}
	return peers.Serve(s.Server, o, os.Stdin, os.Stdout)
}

// untilTerminated returns a context that SIGTERM cancels too, so that a terminated run
// stops its servers.
func untilTerminated(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGTERM)
}
