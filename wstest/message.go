package wstest

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// RecvMessage returns the next message, assembled from its fragments. It answers nothing
// and skips pings and pongs. The error for a close frame is a *CloseError, also in the
// middle of a message. RecvMessage ignores reserved bits and reserved opcodes, so a
// compressed message stays compressed. Timeout bounds the whole call. After a timeout the
// next call continues with the same message.
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

// Await reads until it receives a close frame, and returns its code and reason. It drops
// all other frames. The error wraps os.ErrDeadlineExceeded if d passes without a close
// frame. It wraps io.EOF or a reset if the stream ends without one.
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
