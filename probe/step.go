package probe

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// A Step is a part of what a probe does, in the order in which it does them.
type Step int

const (
	// Connect is finding the address of a name, and TCP.
	Connect Step = iota + 1
	// TLS is its handshake, certificate included; only for wss.
	TLS
	// Handshake is the opening handshake (RFC 6455, section 4).
	Handshake
	// Echo is a message and its echo, or with Options.Ping a ping and its pong.
	Echo
	// Close is the close handshake (RFC 6455, section 7.1.2), up to the server's
	// close frame.
	Close
)

var names = [...]string{Connect: "connect", TLS: "TLS", Handshake: "handshake", Echo: "echo", Close: "close"}

// String is such as "handshake".
func (s Step) String() string {
	if s < Connect || s > Close {
		return fmt.Sprintf("step %d", int(s))
	}
	return names[s]
}

// A Timing is how long a step took that went well.
type Timing struct {
	Step Step
	Took time.Duration
}

// An Error is why the server does not work, or why that could not be found out.
type Error struct {
	// Step is the one that failed, or that was going on when the context ended. It is
	// TLS, too, where a later step has met an alert of TLS, such as that for a client's
	// certificate.
	Step Step
	// Err is the cause, in words that go on from those for the step. It wraps what
	// the system said. Where the deadline has passed, errors.Is finds
	// os.ErrDeadlineExceeded and context.DeadlineExceeded in it; where the caller's
	// context was cancelled, context.Canceled and the context's cause.
	Err error

	what string
}

// Error is a sentence without its subject: did not open a WebSocket: the answer is
// 403 Forbidden. What the server has said is quoted in it.
func (e *Error) Error() string { return e.what + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the deadline has passed.
func (e *Error) Timeout() bool { return errors.Is(e.Err, os.ErrDeadlineExceeded) }

// failed is the beginning of the sentence that says so.
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
