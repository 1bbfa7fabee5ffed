package load

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/handshake"
)

// A Failure is one kind of failure of the connections to a server.
type Failure struct {
	What  string `json:"what"`  // one of a small set: "cannot connect"
	First string `json:"first"` // the details of the first one: "connection refused"
	Count int    `json:"count"` // the number of connections
}

// String returns a sentence without its subject.
func (f Failure) String() string {
	s := f.What
	if f.First != "" {
		s += ": " + f.First
	}
	if f.Count > 1 {
		s += fmt.Sprintf(" (%d connections; this was the first)", f.Count)
	}
	return s
}

// The kinds of failures.
const (
	cannotConnect = "cannot connect"
	badTLS        = "TLS failed"
	noWebSocket   = "did not open a WebSocket"
	wrongEcho     = "a message did not come back as it was sent"
	greeting      = "sent a message before any was sent to it"
	unsolicited   = "sent a message that is no echo"
	closed        = "closed the connection"
	ended         = "ended the stream without a close frame"
	reset         = "reset the connection"
	silent        = "sent no echo"
	brokeProtocol = "broke the protocol"
	broken        = "the connection broke"
)

// A fault is the reason why a connection failed.
type fault struct{ what, detail string }

func (f fault) Error() string { return f.what + ": " + f.detail }

func faultf(what, format string, args ...any) error {
	return fault{what, fmt.Sprintf(format, args...)}
}

// faultOf returns the fault for an error of a read or a write.
func faultOf(err error) fault {
	var f fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return fault{ended, ""}
	case ending.IsReset(err):
		return fault{reset, ""}
	}
	return fault{broken, handshake.Innermost(err)}
}

// failures are the failures of one server, one for each kind.
type failures []Failure

func (fs *failures) add(f fault) { fs.merge(Failure{f.what, f.detail, 1}) }

func (fs *failures) merge(more ...Failure) {
	for _, f := range more {
		i := slices.IndexFunc(*fs, func(g Failure) bool { return g.What == f.What })
		if i < 0 {
			*fs = append(*fs, f)
			continue
		}
		(*fs)[i].Count += f.Count
		(*fs)[i].First = cmp.Or((*fs)[i].First, f.First)
	}
}

func (fs failures) count() int {
	n := 0
	for _, f := range fs {
		n += f.Count
	}
	return n
}
