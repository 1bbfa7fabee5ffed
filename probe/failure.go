package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/handshake"
)

// A fault is a cause with a text of this package.
type fault struct {
	text  string
	cause error // nil if there is no other error
}

func (f fault) Error() string { return f.text }
func (f fault) Unwrap() error { return f.cause }

func faultf(format string, args ...any) error { return fault{fmt.Sprintf(format, args...), nil} }

// late is the cause if the deadline has passed.
type late struct{ text string }

func (l late) Error() string   { return l.text }
func (l late) Unwrap() []error { return []error{os.ErrDeadlineExceeded, context.DeadlineExceeded} }

// interrupted is the cause if the caller's context has ended.
type interrupted struct{ cause error }

func (i interrupted) Error() string   { return i.cause.Error() }
func (i interrupted) Unwrap() []error { return []error{context.Canceled, i.cause} }

// failure returns the Error for err, which has ended a step.
func (p *probing) failure(ctx context.Context, s Step, err error) *Error {
	e := &Error{Step: s, what: s.failed(p.o.Ping)}
	var own fault
	var refused *handshake.Error
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error") { // crypto/tls calls alerts so
		// With TLS 1.3 the alert about our certificate arrives after the handshake of TLS.
		s = TLS
		e.Step, e.what = s, s.failed(p.o.Ping)
	}
	switch {
	case errors.As(err, &own):
		e.Err = own
	case errors.As(err, &refused):
		e.Err = refused
	case !p.cutOff(err):
		e.Err = fault{p.reason(s, err), err}
	case errors.Is(ctx.Err(), context.Canceled):
		e.what = fmt.Sprintf("interrupted (at the step %v)", s)
		e.Err = interrupted{context.Cause(ctx)}
	default:
		e.Err = late{fmt.Sprintf("no whole answer within the %v of the timeout", roundLimit(p.limit)) + p.note}
	}
	return e
}

// cutOff reports whether this side has ended the step that returned err.
func (p *probing) cutOff(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		// A resolver and a kernel have timeouts of their own.
		errors.As(err, &timeout) && timeout.Timeout() && !time.Now().Before(p.deadline)
}

// reason returns the text of an error of the system, without the parts that the Error has.
func (p *probing) reason(s Step, err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return dns.Name + ": " + dns.Err
	case s == Connect && errors.As(err, &op) && op.Addr != nil:
		return op.Addr.String() + ": " + handshake.Innermost(err)
	case ending.IsReset(err):
		return "it reset the connection"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		if s > Handshake {
			return "it ended the stream without a close frame"
		}
		return "it ended the connection"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "the answer is not TLS; a port without TLS needs ws://"
	case s == TLS:
		return handshake.Printable(strings.TrimPrefix(err.Error(), "tls: "))
	}
	return handshake.Printable(handshake.Innermost(err))
}

// roundLimit rounds a time limit for a message. The result is 0 only if no time was left.
func roundLimit(d time.Duration) time.Duration {
	if d >= time.Millisecond {
		return d.Round(time.Millisecond)
	}
	return max(0, d)
}
