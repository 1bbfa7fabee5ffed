// Command bench compares WebSocket servers.
//
//	go run . run                  # the comparison, in less than half an hour
//	go run . run --quick          # less of it, in about two minutes
//	go run . report results.json  # what it has found, as Markdown and HTML
//	go run . list                 # the servers and the workloads
//	go run . serve gws            # one of the servers, until standard input ends
//
// The exit code is 0 where every message came back as it was sent, 1 where not, and
// 2 where it was used wrongly.
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
	Run    runCommand    `cmd:"" help:"Measure all servers in all workloads, and write what was found to a file."`
	Report reportCommand `cmd:"" help:"Make Markdown, HTML and plots of such a file."`
	List   listCommand   `cmd:"" help:"List the servers and the workloads."`
	Serve  serveCommand  `cmd:"" help:"Be one of the servers, until standard input ends."`
}

// A usage error is the user's: the exit code is 2.
type usage struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends it
	var line commandLine
	parser := kong.Must(&line, kong.Name("bench"), kong.Description("Compares WebSocket servers."), kong.BindTo(ctx, (*context.Context)(nil)))
	parsed, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v; bench --help lists what there is\n", err)
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
	Server      string        `arg:"" help:"Its name, as list has it."`
	TLS         bool          `name:"tls" help:"Over TLS, with a certificate that is made for it."`
	Compression bool          `help:"With permessage-deflate."`
	Strict      bool          `help:"With the library's options for what RFC 6455 demands, where they are off by default."`
	Heartbeat   time.Duration `placeholder:"DURATION" help:"With a ping at this interval; negative for none where there would be one."`
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

// untilTerminated is a context that SIGTERM ends, too: a run that is told to end
// takes its servers along.
func untilTerminated(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGTERM)
}
