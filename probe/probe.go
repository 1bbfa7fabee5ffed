package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"example.com/wsecho/internal/handshake"
)

// DefaultTimeout is what a zero Options.Timeout means.
const DefaultTimeout = 5 * time.Second

// A Timeout that is shorter or longer is a mistake.
const (
	minTimeout = time.Millisecond
	maxTimeout = 1000 * time.Hour
)

// Options say what is asked. The zero Options are ready to use.
type Options struct {
	// Timeout is the time for all steps together. Zero means DefaultTimeout; less than
	// a millisecond or more than 1000 hours is refused. A deadline of the context that comes sooner counts
	// in its place.
	Timeout time.Duration

	// Ping asks for a pong (RFC 6455, section 5.5.3) and not for an echo, for
	// servers that are not to be sent messages, or send none back.
	Ping bool

	// Header is sent with the handshake, Origin and Host among it. What belongs to
	// the handshake itself is not taken from here.
	Header http.Header

	// Subprotocols are offered in this order. Where there are any, the server has
	// to choose one of them, though RFC 6455 lets it choose none.
	Subprotocols []string

	// TLS is for wss; nil trusts the system's roots. It is not changed.
	TLS *tls.Config
}

// A Report is what a probe has seen, up to the step that failed.
type Report struct {
	// URL is what was asked, without a password.
	URL string
	// Steps are those that went well, in their order; that of TLS is only there
	// for wss.
	Steps []Timing
	// Took is the time of all steps, the failed one included.
	Took time.Duration
	// Remote is the address that was connected to, such as 192.0.2.1:443; empty
	// if none was.
	Remote string
	// TLS is the state of TLS; nil without TLS.
	TLS *tls.ConnectionState
	// Status is that of the answer to the handshake, 101 or otherwise; 0 if there
	// was none.
	Status int
	// Subprotocol is what the server has chosen; empty is none.
	Subprotocol string
	// Others is how many messages came besides the echo, up to it.
	Others int
	// CloseCode is that of the server's close frame: 1005 if that had none, 0 if
	// there was no close frame.
	CloseCode int
}

// Run asks the server at a ws:// or wss:// URL whether it works, and returns nil if
// so. It returns when that is known, at the deadline or a little later, or at once
// when ctx ends. Several calls may run at the same time. Nothing goes on after it has
// returned, save for a look-up in the system's C library, where Go uses that.
//
// The error is an [*Error], or else it is about the arguments, and nothing was sent;
// it then names the field of Options. The Report is good as far as it goes.
//
// Other messages than the echo may come before it, up to 10,000 frames and 16 MiB.
// One that has half of the random part of what was sent is taken for a wrong echo.
//
// The server has to answer the close frame, which says 1000, with 1000 or with none
// (RFC 6455, section 5.5.1). Every other code is a failure, for it says that the
// server was about to go away, or that something was wrong. So is an end without a
// close frame. Whether the server then ends TCP is not looked at; that it does so is
// waited for up to a second, so as not to leave it with a broken connection.
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

// probing is one run.
type probing struct {
	url      *url.URL
	o        Options
	deadline time.Time
	report   Report

	conn *conn  // nil before Connect is done
	note string // what an Error about the deadline says besides
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

// check says what makes no sense.
func (o *Options) check() error {
	if o.Timeout < minTimeout || o.Timeout > maxTimeout {
		return fmt.Errorf("probe: %w", handshake.WrongField("Timeout", "%v is not from %v to %v", o.Timeout, minTimeout, maxTimeout))
	}
	if err := handshake.CheckFields(o.Subprotocols, o.Header); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	return nil
}
