package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/handshake"
)

const (
	maxFrames = 10_000
	maxBytes  = 16 << 20
)

// echo sends a message, or a ping, and waits for the echo or the pong. The payload is
// random, so that no other message can match it.
func (p *probing) echo(context.Context) error {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	digits := hex.EncodeToString(nonce)
	sent := []byte("wsecho probe " + digits)
	halves := [][]byte{[]byte(digits[:16]), []byte(digits[16:])}
	request, reply := byte(frame.Text), byte(frame.Text)
	if p.o.Ping {
		request, reply = frame.Ping, frame.Pong
	}
	if err := p.conn.write(request, sent); err != nil {
		return err
	}
	p.conn.budget = &budget{frames: maxFrames, bytes: maxBytes}
	for {
		m, err := p.conn.next()
		switch {
		case err != nil:
			return err
		case m.opcode == frame.Close:
			return p.closedBefore(m)
		case m.opcode == reply && bytes.Equal(m.bytes, sent):
			p.conn.budget = nil
			return nil
		case m.opcode == frame.Pong: // an unsolicited one, which is allowed
			p.note = fmt.Sprintf("; a pong came with another payload, %s", handshake.Quoted(m.bytes))
		case m.opcode == frame.Ping: // next has answered it
		case p.o.Ping:
			p.report.Others++
		case bytes.Equal(m.bytes, sent):
			return faultf("it came back as a binary message, and was text")
		case bytes.Contains(m.bytes, halves[0]), bytes.Contains(m.bytes, halves[1]):
			return faultf("%s came back, and %s was sent", handshake.Quoted(m.bytes), handshake.Quoted(sent))
		default:
			p.report.Others++
			p.note = fmt.Sprintf("; of the other messages (%d) the last was %s", p.report.Others, handshake.Quoted(m.bytes))
		}
	}
}

// closedBefore returns the error for a close frame in place of the echo. It answers
// the frame.
func (p *probing) closedBefore(m message) error {
	code, reason, err := frame.ParseClose(m.bytes)
	if err != nil {
		return violation(err)
	}
	p.report.CloseCode = code
	_ = p.conn.write(frame.Close, m.bytes[:min(len(m.bytes), 2)])
	return fault{"it closed the connection" + with(code, reason), nil}
}

// close sends a close frame, and waits for the server's (RFC 6455, section 7.1.2). It
// skips the messages that were in flight.
func (p *probing) close(context.Context) error {
	p.note = ""
	if err := p.conn.write(frame.Close, normalClosure); err != nil {
		return err
	}
	for {
		m, err := p.conn.next()
		if err != nil {
			return err
		}
		if m.opcode != frame.Close {
			continue
		}
		code, reason, err := frame.ParseClose(m.bytes)
		if err != nil {
			return violation(err)
		}
		p.report.CloseCode = code
		if code != 1000 && code != 1005 {
			return fault{"it closed the connection" + with(code, reason), nil}
		}
		return nil
	}
}

// with returns the end of a sentence about a close code and its reason.
func with(code int, reason []byte) string {
	switch {
	case code == 1005:
		return " without a code"
	case len(reason) > 0:
		return fmt.Sprintf(" with %d: %s", code, handshake.Quoted(reason))
	}
	return fmt.Sprintf(" with %d", code)
}
