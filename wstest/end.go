package wstest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// An End is how the stream from the peer ended.
type End struct {
	// Code is the code of the first close frame, also of one that was read before. It is 0
	// without a close frame, [NoStatus] without a code, and [Malformed] if the payload was
	// one byte.
	Code   uint16
	Reason string

	// FIN and RST are how TCP ended. At most one is true. A peer that closes its socket
	// with unread bytes sends RST.
	FIN bool
	RST bool

	// CloseNotify means that TLS ended before TCP, with close_notify.
	CloseNotify bool

	// Truncated means that the stream ended inside a frame or inside a TLS record.
	Truncated bool

	Frames     int           // frames read by this call, close frames included
	AfterClose int           // those after the first close frame; a correct peer sends none
	After      time.Duration // from the call to the end of the stream
}

// End reads until the stream ends, for at most d, and returns how it ended. It writes
// nothing and drops all frames.
//
// The error wraps os.ErrDeadlineExceeded if the stream has not ended within d. Under TLS
// the end is that of TCP, not the close_notify before it. With an error, the End has what
// was read until then.
func (p *Peer) End(d time.Duration) (End, error) {
	start := time.Now()
	p.conn.SetReadDeadline(start.Add(d))
	return p.drain(start, func(Frame) {})
}

// drain calls each for every frame until the stream ends or the read deadline is over.
func (p *Peer) drain(start time.Time, each func(Frame)) (e End, err error) {
	in := &p.in
	for {
		closedBefore := in.gotClose
		f, nextErr := p.next()
		if err = nextErr; err != nil {
			break
		}
		e.Frames++
		if closedBefore {
			e.AfterClose++
		}
		each(f)
	}
	e.Truncated = errors.Is(err, io.ErrUnexpectedEOF)
	if in.notified {
		err = p.awaitFIN()
	}
	e.Code, e.Reason, e.CloseNotify = in.code, in.reason, in.notified
	e.After = time.Since(start)
	switch wireEnd := p.wire.end(); {
	case wireEnd == io.EOF:
		e.FIN = true
	case wireEnd != nil:
		e.RST = true
		e.Truncated = e.Truncated || in.inFrame || p.br.Buffered() > 0
	case errors.Is(err, os.ErrDeadlineExceeded):
		return e, fmt.Errorf("the stream has not ended after %v; %v: %w", e.After.Round(time.Millisecond), e, err)
	default:
		return e, err
	}
	return e, nil
}

// awaitFIN reads TCP to its end after TLS has ended with close_notify.
func (p *Peer) awaitFIN() error {
	_, err := io.Copy(io.Discard, p.wire)
	return err
}

// String describes the ending in a line for the log of a test.
func (e End) String() string {
	s := "no close frame"
	if e.Code != 0 {
		s = fmt.Sprintf("close frame %d %q", e.Code, e.Reason)
	}
	if e.CloseNotify {
		s += ", close_notify"
	}
	switch {
	case e.FIN:
		s += ", FIN"
	case e.RST:
		s += ", RST"
	}
	if e.Truncated {
		s += " inside a frame"
	}
	return fmt.Sprintf("%s, %d frames", s, e.Frames)
}
