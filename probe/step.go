package probe

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// A Step is a step of a probe. The probe performs them in the order of their values.
type Step int

const (
	// Connect is the name lookup and TCP.
	Connect Step = iota + 1
	// TLS is the handshake of TLS with the check of the certificate. Only wss has it.
	TLS
	// Handshake is the opening handshake (RFC 6455, section 4).
	Handshake
	// Echo is a message and its echo. With Options.Ping it is a ping and its pong.
	Echo
	// Close is the closing handshake (RFC 6455, section 7.1.2), up to the server's close
	// frame.
	Close
)

var names = [...]string{Connect: "connect", TLS: "TLS", Handshake: "handshake", Echo: "echo", Close: "close"}

// String returns the name of the step, such as "handshake".
func (s Step) String() string {
	if s < Connect || s > Close {
		return fmt.Sprintf("step %d", int(s))
	}
	return names[s]
}

// A Timing is the duration of a step that succeeded.
type Timing struct {
	Step Step
	Took time.Duration
}

// An Error is the reason why a server does not work, or why the probe could not tell.
type Error struct {
	// Step is the step that failed, or that was in progress when the context ended. It is
	// TLS if a later step received an alert of TLS, such as that for a client's
	// certificate.
	Step Step
	// Err is the cause. Its text continues the text for the step. It wraps the error of
	// the system. If the deadline has passed, it wraps os.ErrDeadlineExceeded and
	// context.DeadlineExceeded. If the caller's context was cancelled, it wraps
	// context.Canceled and the context's cause.
	Err error

	what string
}

// Error returns a sentence without its subject: did not open a WebSocket: the answer is
// 403 Forbidden. It quotes the words of the server.
func (e *Error) Error() string { return e.what + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the deadline has passed.
func (e *Error) Timeout() bool { return errors.Is(e.Err, os.ErrDeadlineExceeded) }

// failed returns the beginning of the sentence about the failure of the step.
func (s Step) failed(ping bool) string {
	switch s {
	case Connect:
		return "cannot connect"
	case TLS:
		return "TLS failed"
	case Handshake:
		return "did not open a WebSocket"
	case Close:
		return "did not close as it should"
	}
	if ping {
		return "did not answer the ping"
	}
	return "did not send the message back"
}
