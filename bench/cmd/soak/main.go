// Command soak tests wsecho with correct and incorrect peers of every kind at once. It fails
// if an echo, an Outcome or an ending is wrong. It also fails if the server keeps resources
// after the last connection:
//
//	go run ./cmd/soak -for 10m
//
// One server is the binary. Another server, in its own process, runs the same packages over
// TLS. Once a minute the load pauses and soak prints a line. The exit code is 1 for a fault
// and 2 for a usage error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"example.com/wsecho/bench/soak"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options contains the flags.
type options struct {
	soak.Options
	compression, binary string
	tls                 bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := func() error {
		if len(args) == 2 && args[0] == "serve" { // the process of the TLS server
			return soak.ServeTLS(ctx, args[1])
		}
		o, err := parse(args, stdout)
		if err != nil {
			return err
		}
		return o.run(ctx, stdout)
	}()
	var bad usage
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &bad):
		fmt.Fprintf(stderr, "soak: %v; soak -h lists the flags\n", err)
		return 2
	}
	fmt.Fprintln(stderr, "soak:", err)
	return 1
}

// A usage error is a mistake in the arguments.
type usage struct{ error }

var compressions = []string{"off", "no-context-takeover", "context-takeover"}

func parse(args []string, stdout io.Writer) (o options, err error) {
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.DurationVar(&o.For, "for", 10*time.Minute, "duration of the load")
	f.IntVar(&o.Conns, "conns", 48, "concurrent connections to each server")
	f.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()), "seed of the random behaviours")
	f.StringVar(&o.compression, "compression", "off", "compression of the servers: off, no-context-takeover or context-takeover")
	f.BoolVar(&o.tls, "tls", true, "also test a server over TLS")
	f.StringVar(&o.binary, "wsecho", "", "the wsecho binary (default: build it)")
	err = f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(stdout)
		f.Usage()
		return o, err
	case err != nil:
		return o, usage{err}
	case f.NArg() > 0:
		return o, usage{fmt.Errorf("%q is not a flag", f.Arg(0))}
	case o.For <= 0 || o.For > 30*24*time.Hour:
		return o, usage{fmt.Errorf("-for %v is not a time between 0 and 30 days", o.For)}
	case o.Conns < 1 || o.Conns > 2000:
		return o, usage{fmt.Errorf("-conns %d is not between 1 and 2000", o.Conns)}
	case !slices.Contains(compressions, o.compression):
		return o, usage{fmt.Errorf("-compression %q is not one of off, no-context-takeover and context-takeover", o.compression)}
	}
	o.Compression = o.compression != "off"
	return o, nil
}

func (o options) run(ctx context.Context, stdout io.Writer) error {
	fmt.Fprintf(stdout, "%d connections at once to each server for %v, compression %s, seed %d\n", o.Conns, o.For, o.compression, o.Seed)
	if o.binary == "" {
		var err error
		if o.binary, err = soak.Build(); err != nil {
			return err
		}
		defer os.RemoveAll(filepath.Dir(o.binary))
	}
	plain, err := soak.Start(exec.Command(o.binary, soak.Flags(o.compression)...), "wsecho", "ws")
	if err != nil {
		return err
	}
	servers := []*soak.Server{plain}
	if o.tls {
		self, err := os.Executable()
		if err == nil {
			var s *soak.Server
			if s, err = soak.Start(exec.Command(self, "serve", o.compression), "TLS", "wss"); err == nil {
				servers = append(servers, s)
			}
		}
		if err != nil {
			plain.Stop(time.Minute)
			return err
		}
	}
	return soak.Run(ctx, servers, o.Options, stdout)
}
