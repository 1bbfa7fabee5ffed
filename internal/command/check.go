package command

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"example.com/wsecho/probe"
)

// A checkCommand holds the flags of wsecho check.
type checkCommand struct {
	URL string `arg:"" name:"url" env:"WSECHO_CHECK_URL" help:"ws:// or wss:// URL of any server. Unless given, the variable WSECHO_CHECK_URL."`

	Timeout duration `group:"time" env:"WSECHO_CHECK_TIMEOUT" default:"5s" help:"Longest time for all steps together."`
	Pong    bool     `group:"load" env:"WSECHO_CHECK_PONG" help:"Send a ping instead of a message, for servers that do not echo."`

	clientFlags  `embed:"" envprefix:"WSECHO_CHECK_"`
	connectFlags `embed:"" envprefix:"WSECHO_CHECK_"`

	Quiet bool `group:"result" env:"WSECHO_CHECK_QUIET" help:"Print nothing on stdout. A failure is still printed on stderr."`
}

// checkFlags maps the names of probe.Options to flags.
var checkFlags = map[string]string{"Timeout": "--timeout", "Subprotocols": "--subprotocol", "Header": "--header"}

// Help returns the part of the help between its first line and the flags.
func (*checkCommand) Help() string {
	return `wsecho check connects, opens a WebSocket, sends a random message, waits for its echo and closes. All steps together have one timeout that no server can prolong. Stdout has one line for each step that succeeded, with its duration.

The exit code is 0 if the server works. Otherwise it names the step that failed. 3 means connecting (the name, or TCP), 4 TLS, 5 the handshake. 6 means the echo or the pong, 7 the close. 2 is a mistake in the arguments, 1 is anything else, such as Ctrl-C.

A proxy is used only with --proxy. Redirects are not followed. Each flag has an environment variable: --timeout is WSECHO_CHECK_TIMEOUT.`
}

// Run checks the server and prints the steps.
func (f *checkCommand) Run(ctx context.Context, out streams, w warnings) error {
	address, err := asciiURL(f.URL)
	if err != nil {
		return err
	}
	o, err := f.probeOptions(address)
	if err != nil {
		return err
	}
	w.print(out)
	r, err := probe.Run(ctx, address, o)
	failure := (*probe.Error)(nil)
	if err != nil && !errors.As(err, &failure) {
		return flagError(err, checkFlags)
	}
	if !f.Quiet {
		if _, err := fmt.Fprint(out.stdout, f.report(r, err == nil)); err != nil {
			return err
		}
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", r.URL, err)
	if errors.Is(failure, context.Canceled) {
		return err
	}
	return exitError{error: certificateHint(err), code: failure.Step.ExitCode()}
}

// probeOptions returns the options that the flags ask for, for the server at this URL.
func (f *checkCommand) probeOptions(address string) (probe.Options, error) {
	header, err := f.header()
	if err != nil {
		return probe.Options{}, err
	}
	config, err := f.tlsConfig()
	if err != nil {
		return probe.Options{}, err
	}
	dial, err := f.dialer(address, noProxy, config)
	return probe.Options{
		Timeout:      time.Duration(f.Timeout),
		Ping:         f.Pong,
		Header:       header,
		Subprotocols: f.Subprotocol,
		TLS:          config,
		DialContext:  dial,
	}, err
}

// report returns one line for each step that succeeded, and one for the server if it
// works.
func (f *checkCommand) report(r probe.Report, works bool) string {
	var b strings.Builder
	for _, s := range r.Steps {
		name := s.Step.String()
		if s.Step == probe.Echo && f.Pong {
			name = "pong"
		}
		fmt.Fprintln(&b, strings.TrimRight(stepLine(name, s.Took)+"  "+f.detail(r, s.Step), " "))
	}
	if works {
		fmt.Fprintln(&b, stepLine("works", r.Took)+"  "+r.URL)
	}
	return b.String()
}

func stepLine(name string, took time.Duration) string {
	return fmt.Sprintf("%-9s %9.2f ms", name, float64(took)/float64(time.Millisecond))
}

// detail returns what a step found out.
func (f *checkCommand) detail(r probe.Report, s probe.Step) string {
	switch s {
	case probe.Connect:
		return r.Remote
	case probe.TLS:
		version := tls.VersionName(r.TLS.Version)
		if f.Insecure {
			return version + ", the certificate was NOT verified"
		}
		return version + ", certificate valid until " + r.TLS.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)
	case probe.Handshake:
		detail := fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status))
		if r.Subprotocol != "" {
			detail += ", subprotocol " + r.Subprotocol
		}
		return detail
	case probe.Echo:
		switch r.Others {
		case 0:
			return ""
		case 1:
			return "after another message"
		}
		return fmt.Sprintf("after %d other messages", r.Others)
	}
	if r.CloseCode == 1005 {
		return "without a code"
	}
	return fmt.Sprint(r.CloseCode)
}
