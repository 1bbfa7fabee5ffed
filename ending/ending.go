// Package ending classifies how a WebSocket ended. It has a closed set of kinds, and one
// function from the error of a read to a kind.
//
//	_, _, err := conn.Read(ctx)
//	end := ending.Of(err)
//	log.Print(end.Kind, end.By, end.Code, end.Reason)
//	if ending.Gone(err) { // gorilla's IsCloseError(err, 1001, 1006)
//		return nil
//	}
//
// Only the error of a read contains how a connection ended. The error of a write or a ping
// does not contain the reason. It is never a close error. A write to a peer that has
// disconnected may succeed.
//
// github.com/coder/websocket cannot distinguish a truncated message from a whole one. A
// client should dial through [RoundTripper]; package server does the same on the server's
// side. Without that, [Of] is right about each error that it gets, but some endings cause
// no error.
//
// The package does not read, write or close anything.
package ending

import (
	"strconv"

	"github.com/coder/websocket"
)

// A Kind is one way in which a WebSocket can end. The set is closed, so a switch
// over it can be complete and the number of counters is bounded.
type Kind uint8

const (
	// Open is the zero value: the connection has not ended.
	Open Kind = iota

	// The peer sent a close frame.

	Normal    // with 1000 or without a code
	GoingAway // with 1001
	PeerCode  // with any other code, see Ending.Code

	// The peer or the network ended it without a close frame.

	Abnormal  // end of stream, whether between messages or inside one; RFC 6455's and gorilla's 1006
	Reset     // the peer's system answered with RST, or a write met a closed socket
	Lost      // network partition: the kernel gave up (keepalive, retransmission), or no route is left
	Truncated // TLS ended inside a record, which may be an attack (truncation)
	BadTLS    // a TLS record was forged or damaged, or the peer sent an alert about one

	// This side ended the connection because of what the peer did or did not do.

	NoPong       // nothing was received within the heartbeat's bound
	WriteStalled // the peer accepted too little for the write timeout, or no ping could be sent
	Protocol     // a violation of RFC 6455 or 7692; 1002, and 1007 for compressed data that is wrong
	InvalidUTF8  // a text or a close reason that is not UTF-8; 1007
	TooBig       // a message over the read limit; 1009
	TooSlow      // a message was not complete within the message timeout; 1008
	Flood        // a message in too many tiny fragments, or too many pings or pongs; 1008
	NoMemory     // the server's budget for messages is spent; 1013

	// This side ended the connection for its own reasons.

	Done     // the handler returned without an error; 1000
	Failed   // the handler returned an error; 1011
	Panicked // the handler panicked; 1011
	Drained  // the server shuts down; 1001
	Aged     // the connection reached its maximum age; 1001
	Idle     // no message for the idle timeout; 1001
	Closed   // a context ended, or Close or CloseNow was called

	// Unknown is an error that this package cannot classify.
	Unknown

	numKinds
)

// kinds contains for each kind its name, its close code and the side that began. This side
// sends the close code; 0 means none.
var kinds = [numKinds]struct {
	name string
	code websocket.StatusCode
	by   Side
}{
	Open:         {"open", 0, NoSide},
	Normal:       {"normal", 0, Peer},
	GoingAway:    {"going away", 0, Peer},
	PeerCode:     {"peer code", 0, Peer},
	Abnormal:     {"abnormal", 0, Peer},
	Reset:        {"reset", 0, Peer},
	Lost:         {"lost", 0, Network},
	Truncated:    {"truncated", 0, Network},
	BadTLS:       {"bad tls", 0, Network},
	NoPong:       {"no pong", websocket.StatusGoingAway, Local},
	WriteStalled: {"write stalled", 0, Local},
	Protocol:     {"protocol", websocket.StatusProtocolError, Local},
	InvalidUTF8:  {"invalid utf-8", websocket.StatusInvalidFramePayloadData, Local},
	TooBig:       {"too big", websocket.StatusMessageTooBig, Local},
	TooSlow:      {"too slow", websocket.StatusPolicyViolation, Local},
	Flood:        {"flood", websocket.StatusPolicyViolation, Local},
	NoMemory:     {"no memory", websocket.StatusTryAgainLater, Local},
	Done:         {"done", websocket.StatusNormalClosure, Local},
	Failed:       {"failed", websocket.StatusInternalError, Local},
	Panicked:     {"panicked", websocket.StatusInternalError, Local},
	Drained:      {"drained", websocket.StatusGoingAway, Local},
	Aged:         {"aged", websocket.StatusGoingAway, Local},
	Idle:         {"idle", websocket.StatusGoingAway, Local},
	Closed:       {"closed", 0, Local},
	Unknown:      {"unknown", 0, NoSide},
}

// String returns the kind's name, in lower case. It does not change between
// releases.
func (k Kind) String() string {
	if k >= numKinds {
		return "kind " + strconv.Itoa(int(k))
	}
	return kinds[k].name
}

// Code returns the close code that this side sends if k is the reason (RFC 6455, section
// 7.4.1). It is 0 if the peer began or if nothing can be sent. It is also 0 if k has no
// code of its own.
func (k Kind) Code() websocket.StatusCode {
	if k >= numKinds {
		return 0
	}
	return kinds[k].code
}

// By returns the side that began an ending of this kind.
func (k Kind) By() Side {
	if k >= numKinds {
		return NoSide
	}
	return kinds[k].by
}

// Abnormal reports whether the peer disappeared without a close frame, whatever the cause.
// It is wider than gorilla's 1006, which is only kind Abnormal.
func (k Kind) Abnormal() bool {
	switch k {
	case Abnormal, Reset, Lost, Truncated, BadTLS, NoPong, WriteStalled:
		return true
	}
	return false
}

// Gone reports whether gorilla/websocket's IsCloseError(err, 1001, 1006) is true for kind
// k. It is for two kinds; see the function [Gone].
func (k Kind) Gone() bool { return k == GoingAway || k == Abnormal }

// Kinds returns every kind that an ended connection can have, in order.
func Kinds() []Kind {
	all := make([]Kind, 0, numKinds-1)
	for k := Open + 1; k < numKinds; k++ {
		all = append(all, k)
	}
	return all
}

// A Side is the side that began an ending.
type Side uint8

const (
	NoSide  Side = iota // not ended, or unknown
	Peer                // the other end
	Local               // this end
	Network             // neither: the path between them
)

// String returns "peer", "local", "network" or "".
func (s Side) String() string {
	switch s {
	case Peer:
		return "peer"
	case Local:
		return "local"
	case Network:
		return "network"
	}
	return ""
}

// An Ending describes how one connection ended. The zero Ending is a connection that
// has not ended.
type Ending struct {
	Kind Kind
	// Code is the close code that began the ending. If the peer sent a close frame, it is
	// the peer's code, or 1005 if the frame had none. Otherwise it is the code that this
	// side sends for the kind. 0 means that no close frame began the ending and that the
	// kind has no code of its own. This side may still send one, as for Closed.
	Code websocket.StatusCode
	// Reason is the text beside Code, at most 123 bytes. A peer may send any text:
	// quote it.
	Reason string
	By     Side
	// Cause is the underlying error, for people; nil: none. Do not pass it to Of or
	// Gone, as it may have lost information: use Kind.
	Cause error
}

// An Error is an error that describes an ending. Reads of package server's connections
// return one. [Of] finds it in any chain of wrapped errors.
type Error struct {
	Kind   Kind
	Code   websocket.StatusCode // 0: the kind's own
	Reason string               // sent to the peer beside the code, so at most 123 bytes; empty: none
	Cause  error                // nil: none
}

// Error returns the kind, the reason and the cause.
func (e *Error) Error() string {
	s := e.Kind.String()
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Timeout reports whether a wait for the peer timed out, for net.Error.
func (e *Error) Timeout() bool {
	return e.Kind == NoPong || e.Kind == WriteStalled || e.Kind == TooSlow || e.Kind == Idle
}

// Ending returns the ending that e describes.
func (e *Error) Ending() Ending {
	end := Ending{Kind: e.Kind, Code: e.Code, Reason: e.Reason, By: e.Kind.By(), Cause: e.Cause}
	if end.Code == 0 {
		end.Code = e.Kind.Code()
	}
	return end
}

// A Choice is the error by which a handler of package server chooses how its own
// connection ends. The kind must be one that this side begins. An [*Error] without a
// Choice chooses nothing, because it may be about another connection. A proxy, for
// example, returns the error of its upstream.
type Choice struct{ Err Error }

// Error returns the text of Err.
func (c *Choice) Error() string { return c.Err.Error() }

// Unwrap returns Err as an [*Error].
func (c *Choice) Unwrap() error { return &c.Err }
