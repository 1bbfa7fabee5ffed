package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"example.com/wsecho/internal/handshake"
)

// DefaultTimeout is the default of Options.Timeout.
const DefaultTimeout = 5 * time.Second

// A Timeout that is shorter or longer is a mistake.
const (
	minTimeout = time.Millisecond
	maxTimeout = 1000 * time.Hour
)

// Options configure a probe. The zero value is ready to use.
type Options struct {
	// Timeout is the time for all steps together. Zero means DefaultTimeout. Run refuses
	// less than a millisecond and more than 1000 hours. An earlier deadline of the context
	// replaces it.
	Timeout time.Duration

	// Ping sends a ping (RFC 6455, section 5.5.3) instead of a message. It is for servers
	// that do not echo or must not receive messages.
	Ping bool

	// Header is sent with the opening handshake. It may contain Origin and Host. Run
	// ignores the fields that belong to the handshake itself.
	Header http.Header

	// Subprotocols are offered in this order. If there are any, the server must choose
	// one of them. RFC 6455 lets it choose none.
	Subprotocols []string

	// TLS is for wss. Nil trusts the system's roots. Run does not change it.
	TLS *tls.Config

	// DialContext opens the connection to an address such as example.com:443, on the
	// network tcp. It may connect to another address, to a unix socket, or through a proxy.
	// It must end with the context. Nil is that of a zero net.Dialer.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Report is the result of a probe, up to the step that failed.
type Report struct {
	// URL is the URL of the server, without a password.
	URL string
	// Steps are the steps that succeeded, in their order. TLS is there only for wss.
	Steps []Timing
	// Took is the time of all steps, with the failed one.
	Took time.Duration
	// Remote is the address of the server, such as 192.0.2.1:443. It is empty without a
	// connection.
	Remote string
	// TLS is the state of TLS, nil without TLS.
	TLS *tls.ConnectionState
	// Status is the status of the response to the handshake, 0 without a response.
	Status int
	// Subprotocol is the server's choice, empty for none.
	Subprotocol string
	// Others counts the messages before the echo.
	Others int
	// CloseCode is the code of the server's close frame: 1005 for a close frame without a
	// code, 0 for none.
	CloseCode int
}

// Run checks the server at a ws:// or wss:// URL. It returns nil if the server works. It
// blocks until the result is known, until shortly after the deadline, or until ctx ends.
// Run may be called concurrently. It leaves no goroutine behind, except a name lookup in
// the system's C library if Go uses that one.
//
// The error is an [*Error]. If an argument is not valid, the error names the field of
// Options. In that case Run has sent nothing. The Report has the completed steps.
//
// Other messages may precede the echo, up to 10,000 frames and 16 MiB. A message that
// contains half of the random part counts as a wrong echo.
//
// The probe sends a close frame with 1000. The server must answer with 1000 or without a
// code (RFC 6455, section 5.5.1). Another code is a failure, because it means that the
// server goes away or found an error. An end without a close frame is a failure too. Run
// then waits up to a second for the server to close TCP. If it does not, that is no
// failure.
func Run(ctx context.Context, rawURL string, o Options) (Report, error) {
	u, err := handshake.ParseURL(rawURL)
	if err != nil {
		return Report{}, fmt.Errorf("probe: %w", err)
	}
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	if err := o.check(); err != nil {
		return Report{}, err
	}
	limit := o.Timeout
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end))
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	p := &probing{url: u, o: o, deadline: deadline, report: Report{URL: u.Redacted()}}
	began := time.Now()
	err = p.run(ctx, limit)
	p.report.Took = time.Since(began)
	p.teardown(ctx, err == nil)
	return p.report, err
}

// A probing is one call of Run.
type probing struct {
	url      *url.URL
	o        Options
	deadline time.Time
	report   Report

	conn *conn  // nil before the step Connect
	note string // the end of an Error about the deadline
}

func (p *probing) run(ctx context.Context, limit time.Duration) error {
	for _, step := range []struct {
		Step
		do func(context.Context) error
	}{
		{Connect, p.connect},
		{TLS, p.secure},
		{Handshake, p.handshake},
		{Echo, p.echo},
		{Close, p.close},
	} {
		if step.Step == TLS && p.url.Scheme != "wss" {
			continue
		}
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return p.failure(ctx, step.Step, err, limit)
		}
		p.report.Steps = append(p.report.Steps, Timing{step.Step, time.Since(began)})
	}
	return nil
}

// check returns an error that names a wrong field.
func (o *Options) check() error {
	if o.Timeout < minTimeout || o.Timeout > maxTimeout {
		return fmt.Errorf("probe: %w", handshake.WrongField("Timeout", "%v is not from %v to %v", o.Timeout, minTimeout, maxTimeout))
	}
	if err := handshake.CheckFields(o.Subprotocols, o.Header); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	return nil
}
