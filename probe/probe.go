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
	// DNS and TCP are the parts of the step Connect. DNS is the name lookup. TCP is the
	// first successful of the parallel connections. Zero means that there was none, as
	// for an address without a name.
	DNS, TCP time.Duration
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
	p, ctx, cancel, err := newProbing(ctx, rawURL, o)
	if err != nil {
		return Report{}, err
	}
	defer cancel()
	began := time.Now()
	err = p.run(ctx, stepFunc{Connect, p.connect}, stepFunc{TLS, p.secure}, stepFunc{Handshake, p.handshake},
		stepFunc{Echo, p.echo}, stepFunc{Close, p.close})
	p.report.Took = time.Since(began)
	p.teardown(ctx, err == nil)
	return p.report, err
}

// newProbing checks the arguments. The context that it returns ends at the deadline.
func newProbing(ctx context.Context, rawURL string, o Options) (*probing, context.Context, context.CancelFunc, error) {
	u, err := handshake.ParseURL(rawURL)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("probe: %w", err)
	}
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	if err := o.check(); err != nil {
		return nil, nil, nil, err
	}
	limit := o.Timeout
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end))
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	deadline, _ := ctx.Deadline()
	return &probing{url: u, o: o, deadline: deadline, limit: limit, report: Report{URL: u.Redacted()}}, ctx, cancel, nil
}

// A probing is one connection to a server.
type probing struct {
	url      *url.URL
	o        Options
	deadline time.Time
	limit    time.Duration // the time to the deadline, for messages
	report   Report

	conn *conn  // nil before the step Connect
	note string // the end of an Error about the deadline
}

// A stepFunc is a step and the method that performs it.
type stepFunc struct {
	Step
	do func(context.Context) error
}

// run performs the steps. It returns an *Error for the first that fails.
func (p *probing) run(ctx context.Context, steps ...stepFunc) error {
	for _, step := range steps {
		if step.Step == TLS && p.url.Scheme != "wss" {
			continue
		}
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return p.failure(ctx, step.Step, err)
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
