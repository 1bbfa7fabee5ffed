package ending

import (
	"compress/flate"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/coder/websocket"
)

// Of returns the ending that the error of a read means. The read may be Read or Reader of
// a [websocket.Conn] of either side. It may also be a Read of the io.Reader that they
// return. A nil error is the zero Ending.
//
// Do not pass the error of a write or a ping, which does not contain the ending. Of cannot
// see the actions of this side either. After a Close of this side, the read returns
// "received close frame" with this side's own code. So check the own state first.
func Of(readErr error) Ending {
	if readErr == nil {
		return Ending{}
	}
	// An *Error has its kind. It may wrap any other error, so it is checked first.
	var known *Error
	if errors.As(readErr, &known) {
		return known.Ending()
	}
	var kind Kind
	code := websocket.CloseStatus(readErr)
	switch code {
	case websocket.StatusNormalClosure, websocket.StatusNoStatusRcvd:
		kind = Normal
	case websocket.StatusGoingAway:
		kind = GoingAway
	case -1: // the peer has sent no close frame
		kind = kindOf(readErr)
		return Ending{Kind: kind, Code: kind.Code(), By: kind.By(), Cause: readErr}
	default:
		kind = PeerCode
	}
	var frame websocket.CloseError
	errors.As(readErr, &frame) // CloseStatus has found it
	return Ending{Kind: kind, Code: code, Reason: frame.Reason, By: Peer, Cause: readErr}
}

// OfClose returns the ending of a peer that sent a close frame with this code
// and reason. Code 1005 is a close frame without a code.
func OfClose(code websocket.StatusCode, reason string) Ending {
	return Of(websocket.CloseError{Code: code, Reason: reason})
}

func kindOf(err error) Kind {
	var timeout net.Error
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return TooBig
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return Closed
	case IsReset(err), isAny(err, syscall.EPIPE):
		return Reset
	// The kernel's ETIMEDOUT is checked before this side's deadlines, because its Timeout
	// returns true as well.
	case isAny(err, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN,
		wsaETIMEDOUT, wsaEHOSTUNREACH, wsaENETUNREACH, wsaENETDOWN, wsaENETRESET, wsaEHOSTDOWN):
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

// The errors of Windows Sockets. On Windows, the values of ECONNRESET and others in
// package syscall are invented, and no call returns them. Other systems have no errors of
// these numbers.
const (
	wsaENETDOWN     = syscall.Errno(10050)
	wsaENETUNREACH  = syscall.Errno(10051)
	wsaENETRESET    = syscall.Errno(10052) // keep-alive found the path broken
	wsaECONNABORTED = syscall.Errno(10053)
	wsaECONNRESET   = syscall.Errno(10054)
	wsaETIMEDOUT    = syscall.Errno(10060)
	wsaEHOSTDOWN    = syscall.Errno(10064)
	wsaEHOSTUNREACH = syscall.Errno(10065)
)

// IsReset reports whether err, an error of a read or a write, is a reset or abort of the
// connection. These are ECONNRESET, ECONNABORTED, and those of Windows. EPIPE does not
// count: it also follows a shutdown by this side.
func IsReset(err error) bool {
	return isAny(err, syscall.ECONNRESET, syscall.ECONNABORTED, wsaECONNRESET, wsaECONNABORTED)
}

func isAny(err error, errnos ...syscall.Errno) bool {
	return slices.ContainsFunc(errnos, func(e syscall.Errno) bool { return errors.Is(err, e) })
}

// isTLS reports whether err is an error of crypto/tls. Most of its errors about records or
// alerts have no exported type. But all begin with the package's name. It returns errors
// of the network unchanged.
func isTLS(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.HasPrefix(err.Error(), "tls: ") {
			return true
		}
	}
	return false
}

// violations are the texts of coder/websocket v1.8.15 for protocol errors. It has no
// type or value for them. The tests provoke each on the wire, so they fail if a later
// version changes a text.
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

// Gone returns, for the error of a read, the result of gorilla/websocket's
//
//	websocket.IsCloseError(err, websocket.CloseGoingAway, websocket.CloseAbnormalClosure)
//
// It is true if the peer sent 1001, or if the stream ended without a close frame (1006).
// Gorilla does not count a reset, a lost path and a missed pong; [Kind.Abnormal] does.
func Gone(readErr error) bool { return Of(readErr).Kind.Gone() }
