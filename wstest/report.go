package wstest

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// A Report is what an [EchoServer] has seen of one connection, from its beginning to its
// end.
type Report struct {
	// Request is the opening handshake, nil if the client has sent none. Opened means
	// that the server has answered it with 101.
	Request *http.Request
	Opened  bool

	// End is how the stream from the client ended. Its Code and Reason are those of the
	// client's close frame, also if that is an answer. Its After is the time since the
	// opening.
	End End

	// Err is nil if the stream from the client has ended, and no error came before. It
	// wraps net.ErrClosed if the server closed the connection first, by DropRST or at the
	// end of the test. It wraps os.ErrDeadlineExceeded if the client has sent no handshake
	// within five seconds. The same holds if it has not ended its stream within five
	// seconds after the server did. Without Opened it is also the error of TLS or of the
	// handshake.
	Err error

	// Violation is the rule of RFC 6455 that the client has broken. Then the server
	// closes with 1002, 1007 or 1009. Empty: none was seen.
	Violation string

	// Fault is the call of the fault that has ended the connection, such as
	// "DropRST().After(3)". Empty: none has.
	Fault string

	Messages  int // complete messages that were received
	Echoed    int // those that were sent back
	Pings     int // received
	Pongs     int // received
	PingsSent int // by PingEvery
}

// String describes the connection in a line for the log of a test.
func (r Report) String() string {
	s := "not opened, "
	if r.Opened {
		s = fmt.Sprintf("%d messages, %d echoed, %d pings, %d pongs, ", r.Messages, r.Echoed, r.Pings, r.Pongs)
	}
	s += r.End.String()
	if r.Violation != "" {
		s += ", violation: " + r.Violation
	}
	if r.Fault != "" {
		s += ", fault " + r.Fault
	}
	if r.Err != nil {
		s += ", " + r.Err.Error()
	}
	return s
}

// maxReports is the number of reports that wait for Next.
const maxReports = 1000

// Next waits until a connection has ended, and returns its report. Each report is returned
// once, the oldest first. 1000 reports can wait; further ones are lost. The error wraps
// the cause of the end of ctx, or net.ErrClosed if no report is left after Close.
func (s *EchoServer) Next(ctx context.Context) (Report, error) {
	select {
	case r := <-s.reports:
		return *r, nil
	default:
	}
	select {
	case r := <-s.reports:
		return *r, nil
	case <-s.ended:
		select {
		case r := <-s.reports: // as the channels may be ready together
			return *r, nil
		default:
			return Report{}, fmt.Errorf("the server is closed, and no report is left: %w", net.ErrClosed)
		}
	case <-ctx.Done():
		return Report{}, fmt.Errorf("no connection has ended, %d are open: %w", s.Open(), context.Cause(ctx))
	}
}

// report keeps r for Next.
func (s *EchoServer) report(r *Report) {
	select {
	case s.reports <- r:
	default:
	}
}

// logReports logs the first reports that Next has not returned.
func (s *EchoServer) logReports() {
	for range 10 {
		select {
		case r := <-s.reports:
			s.tb.Logf("wstest: a connection has ended: %v", *r)
		default:
			return
		}
	}
}
