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
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Main runs the command line of the process until it is done or a signal stops it. It
// returns the exit code. The version printed by --version is release, or what the go
// command recorded if release is empty.
func Main(release string) int {
	return Run(untilSignal(), release, os.Args[1:], os.Stdout, os.Stderr)
}

// Run runs a command line until it is done or ctx ends, and returns the exit code.
func Run(ctx context.Context, release string, args []string, stdout, stderr io.Writer) int {
	err := run(ctx, release, args, streams{stdout, stderr})
	if err == nil {
		return 0
	}
	return printError(err, stderr)
}

// streams are the outputs of a subcommand.
type streams struct{ stdout, stderr io.Writer }

// A commandLine holds the parsed flags of all subcommands.
type commandLine struct {
	VersionFlag kong.VersionFlag  `name:"version" help:"Print the version and exit." env:"-"`
	Serve       serveCommand      `cmd:"" default:"withargs" help:"Run a WebSocket echo server until SIGINT or SIGTERM."`
	Bench       benchCommand      `cmd:"" help:"Measure echo servers, verify every byte that they send back, and compare them."`
	Check       checkCommand      `cmd:"" help:"Check that a server works: connect, handshake, echo, close."`
	Completion  completionCommand `cmd:"" help:"Print the completion script of a shell."`
	Connect     connectCommand    `cmd:"" help:"Talk to a WebSocket by hand: a line is a message."`
	Explain     explainCommand    `cmd:"" help:"Explain a close code or a kind of ending."`
	Help        helpCommand       `cmd:"" help:"Print the help of a command."`
	Probe       probeCommand      `cmd:"" help:"Ping WebSockets: round-trip times, losses, and how the connection ended."`
	Version     versionCommand    `cmd:"" help:"Print the version."`
}

// A helpCommand is wsecho help.
type helpCommand struct {
	Command string `arg:"" optional:"" help:"Command to explain."`
}

// Run prints the help.
func (h *helpCommand) Run(c *kong.Context) error {
	args := []string{"--help"}
	if h.Command != "" {
		if !slices.ContainsFunc(c.Model.Children, func(n *kong.Node) bool { return n.Name == h.Command }) {
			return hintError{usageError{fmt.Errorf("there is no command %q", h.Command)}, "wsecho --help lists the commands"}
		}
		args = []string{h.Command, "--help"}
	}
	_, err := c.Kong.Parse(args)
	return err
}

// A versionCommand is wsecho version.
type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(c *kong.Context) error {
	_, err := c.Kong.Parse([]string{"--version"})
	return err
}

// newParser returns the parser of the command line. Its exit function is called
// after --help and --version.
func newParser(line *commandLine, release string, out streams, exit func(int)) (*kong.Kong, error) {
	return kong.New(line,
		kong.Name("wsecho"),
		kong.Vars{"version": version(release)},
		kong.DefaultEnvars("WSECHO"),
		kong.Writers(out.stdout, out.stderr),
		kong.Exit(exit),
		kong.ExplicitGroups(groups),
		kong.Help(printHelp),
		kong.KindMapper(reflect.Bool, switchMapper{}),
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeText)),
		kong.KindMapper(reflect.Slice, kong.MapperFunc(decodeList)),
		kong.ValueFormatter(func(v *kong.Value) string { return v.Help }), // without the variable: Help explains it once
	)
}

func run(ctx context.Context, release string, args []string, out streams) error {
	if err := cleanVariables(os.Environ()); err != nil {
		return err
	}
	var line commandLine
	exited := false
	parser, err := newParser(&line, release, out, func(int) { exited = true })
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	switch {
	case exited:
		return nil
	case err != nil:
		return hintError{usageError{suggestCommand(err, args, parser.Model)}, helpFor(err)}
	}
	// Without this, a write to a closed pipe on stdout or stderr would end the process.
	signal.Ignore(syscall.SIGPIPE)
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(warnings(unknownVariables(os.Environ(), parser.Model)), buildVersion(release))
	if err := command.Run(out); !exited { // help and version parse again, and kong goes on after it has printed
		return err
	}
	return nil
}

// warnings are sentences that a subcommand prints before its work.
type warnings []string

// print prints the warnings on stderr.
func (w warnings) print(out streams) {
	for _, sentence := range w {
		fmt.Fprintf(out.stderr, "wsecho: warning: %s\n", sentence)
	}
}

// suggestCommand adds the nearest subcommand to err if the first argument is a misspelled one.
func suggestCommand(err error, args []string, model *kong.Application) error {
	if len(args) == 0 || !strings.HasPrefix(err.Error(), "unexpected argument "+args[0]) {
		return err
	}
	for _, c := range model.Children {
		if n := edits(args[0], c.Name); n > 0 && n <= 2 {
			return fmt.Errorf("%w, did you mean %q?", err, c.Name)
		}
	}
	return err
}

// helpFor returns a hint that names the help of the subcommand that err is about.
func helpFor(err error) string {
	command := "wsecho"
	if parse := (*kong.ParseError)(nil); errors.As(err, &parse) && parse.Context != nil {
		for _, c := range []string{"bench", "check", "connect", "explain", "probe"} {
			if strings.HasPrefix(parse.Context.Command(), c) {
				command = "wsecho " + c
			}
		}
	}
	if command == "wsecho" {
		return "wsecho --help lists the commands and flags"
	}
	return command + " --help lists the flags"
}

// printHelp prints the help of the selected subcommand. If none is selected, it prints
// the list of commands and the help of serve.
func printHelp(options kong.HelpOptions, command *kong.Context) error {
	if command.Selected() == nil {
		var b strings.Builder
		b.WriteString("Usage: wsecho [<command>] [flags]\n\nCommands:\n")
		for _, c := range command.Model.Children {
			fmt.Fprintf(&b, "  %-11s %s\n", c.Name, c.Help)
		}
		b.WriteString("\nwsecho <command> --help explains a command. Without a command, wsecho runs serve:\n\n")
		if _, err := io.WriteString(command.Stdout, b.String()); err != nil {
			return err
		}
		command.Path = append(command.Path, &kong.Path{Command: command.Model.DefaultCmd})
	}
	return kong.DefaultHelpPrinter(options, command)
}
