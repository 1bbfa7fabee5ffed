package wstest

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// RecvMessage returns the next message, put together from its fragments. It
// answers nothing. Pings and pongs are skipped; a close frame is an error of
// type *CloseError, in the middle of a message too. Reserved bits and reserved
// opcodes are not looked at, so a compressed message comes back compressed. The
// whole call is bounded by Timeout; after a timeout the next call goes on with
// the same message.
func (p *Peer) RecvMessage() (opcode byte, payload []byte, err error) {
	p.conn.SetReadDeadline(p.deadline())
	in := &p.in
	for {
		f, err := p.next()
		if err == io.EOF && in.inMessage {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, nil, err
		}
		switch {
		case f.Opcode == Close:
			code, reason := ParseClose(f.Payload)
			return 0, nil, &CloseError{code, reason}
		case f.Opcode == Ping || f.Opcode == Pong:
			continue
		case f.Opcode == Continuation && !in.inMessage:
			return 0, nil, errors.New("continuation frame without a message")
		case f.Opcode != Continuation && in.inMessage:
			return 0, nil, fmt.Errorf("frame with opcode %#x inside a message", f.Opcode)
		case f.Opcode != Continuation:
			in.opcode, in.message, in.inMessage = f.Opcode, []byte{}, true
		}
		in.message = append(in.message, f.Payload...)
		if f.Fin {
			opcode, payload = in.opcode, in.message
			in.message, in.inMessage = nil, false
			return opcode, payload, nil
		}
	}
}

// Await reads until a close frame comes and returns what it says. All other
// frames are dropped. The error wraps os.ErrDeadlineExceeded if none came
// within d, and io.EOF or a reset if the stream ended without one.
func (p *Peer) Await(d time.Duration) (code uint16, reason string, err error) {
	p.conn.SetReadDeadline(time.Now().Add(d))
	for frames := 0; ; frames++ {
		f, err := p.next()
		if err != nil {
			return 0, "", fmt.Errorf("no close frame, but %d others: %w", frames, err)
		}
		if f.Opcode == Close {
			code, reason := ParseClose(f.Payload)
			return code, reason, nil
		}
	}
}
