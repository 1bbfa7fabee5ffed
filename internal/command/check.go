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

// check are the flags of the command of this name.
type check struct {
	URL string `arg:"" name:"url" help:"ws:// or wss:// URL of a server, whoever wrote it."`

	Timeout duration `group:"time" env:"WSECHO_CHECK_TIMEOUT" default:"5s" help:"For all steps together."`
	Pong    bool     `group:"load" env:"WSECHO_CHECK_PONG" help:"A ping in place of the message, for servers that echo nothing."`

	Subprotocol []string `group:"handshake" env:"WSECHO_CHECK_SUBPROTOCOL" placeholder:"NAME" help:"Subprotocol to offer; one has to be chosen. Repeatable."`
	Header      []string `group:"handshake" env:"WSECHO_CHECK_HEADER" sep:"none" placeholder:"NAME:VALUE" help:"Header to send. Repeatable."`
	Origin      string   `group:"handshake" env:"WSECHO_CHECK_ORIGIN" placeholder:"URL" help:"Origin to send."`
	Insecure    bool     `group:"handshake" env:"WSECHO_CHECK_INSECURE" help:"Believe any certificate, and say so."`
	CA          string   `group:"handshake" name:"ca" env:"WSECHO_CHECK_CA" placeholder:"FILE" help:"PEM file with certificates to trust besides the system's."`

	Quiet bool `group:"result" env:"WSECHO_CHECK_QUIET" help:"Nothing on stdout; what is wrong is said on stderr all the same."`
}

// The exit codes of wsecho check.
var exitCodes = map[probe.Step]int{probe.Connect: 3, probe.TLS: 4, probe.Handshake: 5, probe.Echo: 6, probe.Close: 7}

// Help is the part of the help between its first line and the flags.
func (*check) Help() string {
	return `It connects, opens a WebSocket, has a random message sent back, and closes, all within one time that no server can prolong. Stdout has a line for each step that went well, with the time that it took.

The exit code is 0 if the server works. Otherwise it says which step failed: 3 connecting (the name, or TCP), 4 TLS, 5 the handshake, 6 the echo or the pong, 7 the close. 2 is a mistake in the arguments, 1 anything else, such as Ctrl-C.

Proxies are not used, and redirects not followed. Each flag has a variable: --timeout is WSECHO_CHECK_TIMEOUT.`
}

// Run asks, and says what it has found.
func (f *check) Run(ctx context.Context, out output) error {
	o, err := f.options()
	if err != nil {
		return usage{err}
	}
	r, err := probe.Run(ctx, f.URL, o)
	failure := (*probe.Error)(nil)
	if err != nil && !errors.As(err, &failure) {
		return usage{inCheckFlags(err)}
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
	return coded{err, exitCodes[failure.Step]}
}

// options are what package probe is told.
func (f *check) options() (probe.Options, error) {
	header, err := headerOf(f.Header, f.Origin)
	if err != nil {
		return probe.Options{}, err
	}
	config, err := tlsOf(f.Insecure, f.CA)
	return probe.Options{
		Timeout:      time.Duration(f.Timeout),
		Ping:         f.Pong,
		Header:       header,
		Subprotocols: f.Subprotocol,
		TLS:          config,
	}, err
}

// report is a line for each step, and one for all of them.
func (f *check) report(r probe.Report, works bool) string {
	var b strings.Builder
	for _, s := range r.Steps {
		name := s.Step.String()
		if s.Step == probe.Echo && f.Pong {
			name = "pong"
		}
		fmt.Fprintln(&b, strings.TrimRight(line(name, s.Took)+"  "+f.detail(r, s.Step), " "))
	}
	if works {
		fmt.Fprintln(&b, line("works", r.Took)+"  "+r.URL)
	}
	return b.String()
}

func line(name string, took time.Duration) string {
	return fmt.Sprintf("%-9s %9.2f ms", name, float64(took)/float64(time.Millisecond))
}

// detail is what a step has shown besides that it went well.
func (f *check) detail(r probe.Report, s probe.Step) string {
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

// inCheckFlags is an error of package probe in the words of the command line.
func inCheckFlags(err error) error {
	text := strings.TrimPrefix(err.Error(), "probe: ")
	for option, flag := range map[string]string{"Timeout": "--timeout", "Subprotocols": "--subprotocol", "Header": "--header"} {
		if rest, ok := strings.CutPrefix(text, option); ok {
			text = flag + rest
		}
	}
	return errors.New(text)
}
