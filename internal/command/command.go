// Package command is the command line of wsecho: its subcommands, flags, log and
// exit codes.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Main runs the command with the arguments and streams of the process until it is
// done or a signal ends it, and returns the exit code. release is the version that
// the build was given, or empty.
func Main(release string) int {
	return Run(untilSignal(), release, os.Args[1:], os.Stdout, os.Stderr)
}

// untilSignal returns a context that the first signal ends. The second ends the
// process.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(fmt.Errorf("signal: %v", <-signals))
		code := 1
		if number, ok := (<-signals).(syscall.Signal); ok {
			code = 128 + int(number)
		}
		os.Exit(code)
	}()
	return ctx
}

// A commandLine is what the arguments and the environment are parsed into.
type commandLine struct {
	Version kong.VersionFlag `help:"Print the version and exit." env:"-"`
	Serve   serve            `cmd:"" default:"withargs" help:"Serve a WebSocket that sends every message back, until SIGINT or SIGTERM."`
	Bench   bench            `cmd:"" help:"Measure echo servers, check every byte that comes back, and compare them."`
	Check   check            `cmd:"" help:"Ask a server whether it works: connect, handshake, echo, close."`
}

// A usage error is the user's: the exit code is 2.
type usage struct{ error }

// A coded error has an exit code of its own.
type coded struct {
	error
	code int
}

func (e coded) Unwrap() error { return e.error }

// A hinted error tells what may help, too.
type hinted struct {
	error
	hint string
}

func (e hinted) Unwrap() error { return e.error }

// Run runs the command with these arguments until it is done or ctx ends, and
// returns the exit code.
func Run(ctx context.Context, release string, args []string, stdout, stderr io.Writer) int {
	err := run(ctx, release, args, stdout, stderr)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "wsecho: error: %v\n", err)
	if h := (hinted{}); errors.As(err, &h) {
		fmt.Fprintf(stderr, "wsecho: hint: %s\n", h.hint)
	}
	if c := (coded{}); errors.As(err, &c) {
		return c.code
	}
	if errors.As(err, new(usage)) {
		return 2
	}
	return 1
}

func run(ctx context.Context, release string, args []string, stdout, stderr io.Writer) error {
	if err := forgetEmpty(os.Environ()); err != nil {
		return err
	}
	var line commandLine
	exited := false // --help and --version have had their say
	parser, err := kong.New(&line,
		kong.Name("wsecho"),
		kong.Vars{"version": version(release)},
		kong.DefaultEnvars("WSECHO"),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.ExplicitGroups(groups),
		kong.Help(help),
		kong.ValueFormatter(func(v *kong.Value) string { return v.Help }), // serveDetail says what the variables are
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	switch {
	case exited:
		return nil
	case err != nil:
		return hinted{usage{err}, helpFor(err)}
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(output{stdout, stderr})
}

// helpFor is where to find the flags of the command that err is about.
func helpFor(err error) string {
	command := "wsecho"
	if parse := (*kong.ParseError)(nil); errors.As(err, &parse) && parse.Context != nil {
		for _, c := range []string{"bench", "check"} {
			if strings.HasPrefix(parse.Context.Command(), c) {
				command = "wsecho " + c
			}
		}
	}
	return command + " --help lists the flags"
}

// forgetEmpty makes an empty variable count as one that is not set: where a
// variable can be given but not taken away, that is how it is left out.
func forgetEmpty(environ []string) error {
	for _, v := range environ {
		if name, value, _ := strings.Cut(v, "="); value == "" && strings.HasPrefix(name, "WSECHO_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// help prints the flags of the default command where no command is named.
func help(options kong.HelpOptions, command *kong.Context) error {
	if command.Selected() == nil {
		command.Path = append(command.Path, &kong.Path{Command: command.Model.DefaultCmd})
	}
	return kong.DefaultHelpPrinter(options, command)
}

// An output is where a command writes.
type output struct{ stdout, stderr io.Writer }
