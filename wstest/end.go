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
	// Code is the code of the first close frame: 0 if none came, [NoStatus] if
	// it had none, [Malformed] if its payload was one byte. A close frame that
	// was read before counts.
	Code   uint16
	Reason string

	// FIN and RST say how TCP ended, at most one of them. A peer that closes
	// its socket while there are bytes in it that it has not read sends RST.
	FIN bool
	RST bool

	// CloseNotify says that TLS ended before TCP did, with close_notify.
	CloseNotify bool

	// Cut says that the stream ended inside a frame, or inside a record of TLS.
	Cut bool

	Frames     int           // frames read by this call, close frames included
	AfterClose int           // those of them after the first close frame: a correct peer sends none
	After      time.Duration // from the call to the end of the stream
}

// End reads until the stream ends, for at most d, and returns how it did. It
// writes nothing and drops every frame.
//
// The error wraps os.ErrDeadlineExceeded if the stream had not ended within d.
// With TLS the end is that of TCP, not the close_notify before it. The End is
// good as far as it goes, whatever the error.
func (p *Peer) End(d time.Duration) (End, error) {
	start := time.Now()
	p.conn.SetReadDeadline(start.Add(d))
	return p.drain(start, func(Frame) {})
}

// drain calls each for every frame until the stream ends or the deadline that
// is set has passed.
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
	e.Cut = errors.Is(err, io.ErrUnexpectedEOF)
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
		e.Cut = e.Cut || in.inFrame || p.br.Buffered() > 0
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
	if e.Cut {
		s += " inside a frame"
	}
	return fmt.Sprintf("%s, %d frames", s, e.Frames)
}
