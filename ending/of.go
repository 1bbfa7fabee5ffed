package ending

import (
	"compress/flate"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/coder/websocket"
)

// Of returns the ending that the error of a read tells: of Read or Reader of a
// [websocket.Conn], either side, or of a Read of the io.Reader that they give.
// A nil error is the zero Ending.
//
// An error of a write or a ping must not be given: it does not know. Nor does
// Of know what this side has done: where one has called Close oneself, and the
// peer has answered, the read says "received close frame" with one's own code.
// Ask one's own state first.
func Of(readErr error) Ending {
	if readErr == nil {
		return Ending{}
	}
	// What knows its kind comes first: it may wrap any of the others.
	var known *Error
	if errors.As(readErr, &known) {
		return known.Ending()
	}
	var frame websocket.CloseError
	if errors.As(readErr, &frame) {
		return ofFrame(frame, readErr)
	}
	kind := kindOf(readErr)
	return Ending{Kind: kind, Code: kind.Code(), By: kind.By(), Cause: readErr}
}

// OfClose returns the ending of a peer that sent a close frame with this code
// and reason. Code 1005 is a close frame without a code.
func OfClose(code websocket.StatusCode, reason string) Ending {
	frame := websocket.CloseError{Code: code, Reason: reason}
	return ofFrame(frame, frame)
}

func ofFrame(frame websocket.CloseError, cause error) Ending {
	end := Ending{Kind: PeerCode, Code: frame.Code, Reason: frame.Reason, By: Peer, Cause: cause}
	switch frame.Code {
	case websocket.StatusNormalClosure, websocket.StatusNoStatusRcvd:
		end.Kind = Normal
	case websocket.StatusGoingAway:
		end.Kind = GoingAway
	}
	return end
}

func kindOf(err error) Kind {
	var timeout net.Error
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return TooBig
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return Closed
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return Reset
	// The kernel's ETIMEDOUT stands before the deadlines, which are one's own:
	// it answers Timeout too.
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH),
		errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ENETDOWN):
		return Lost
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return Closed
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Abnormal
	case isTLS(err):
		return BadTLS
	case errors.As(err, &corrupt), isProtocol(err.Error()):
		return Protocol
	}
	return Unknown
}

// isTLS reports whether err comes from crypto/tls. Of what that finds in a record,
// and of the peer's alerts, most have no type that is exported, but all begin with
// the package's name. What the network says passes through it unchanged.
func isTLS(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.HasPrefix(err.Error(), "tls: ") {
			return true
		}
	}
	return false
}

// violations are how coder/websocket v1.8.15 words what it refuses. It has no
// type or value for these errors; the tests provoke each on the wire, so that
// another wording in a later version is noticed.
var violations = []string{
	"received header with unexpected rsv bits",
	"received unmasked frame",
	"received negative payload length",
	"received unknown opcode",
	"received control frame payload with invalid length",
	"received fragmented control frame",
	"received invalid close payload",
	"received continuation frame without",
	"received new data message without finishing",
}

func isProtocol(text string) bool {
	for _, v := range violations {
		if strings.Contains(text, v) {
			return true
		}
	}
	return false
}

// Gone reports whether the peer is gone in the sense in which gorilla/websocket's
//
//	websocket.IsCloseError(err, websocket.CloseGoingAway, websocket.CloseAbnormalClosure)
//
// says so of the error of a read: it said that it goes away (1001), or the
// stream ended without a close frame (1006). A reset, a path that is lost and a
// missed pong are not among them in gorilla either; [Kind.Abnormal] has those
// too.
func Gone(readErr error) bool { return Of(readErr).Kind.Gone() }
