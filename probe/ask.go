package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"example.com/wsecho/internal/client"
)

const (
	maxFrames = 10_000
	maxBytes  = 16 << 20
)

// echo sends a message, or a ping, and waits until it comes back. It is random, so
// that no answer to another can be taken for it.
func (p *probing) echo(context.Context) error {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	digits := hex.EncodeToString(nonce)
	sent := []byte("wsecho probe " + digits)
	halves := [][]byte{[]byte(digits[:16]), []byte(digits[16:])}
	asked, answer := byte(opText), byte(opText)
	if p.o.Ping {
		asked, answer = opPing, opPong
	}
	if err := p.conn.write(asked, sent); err != nil {
		return err
	}
	p.conn.budget = &budget{frames: maxFrames, bytes: maxBytes}
	for {
		m, err := p.conn.next()
		switch {
		case err != nil:
			return err
		case m.opcode == opClose:
			return p.closedBefore(m)
		case m.opcode == answer && bytes.Equal(m.bytes, sent):
			p.conn.budget = nil
			return nil
		case m.opcode == opPong: // one that nobody asked for, which is allowed
			p.note = fmt.Sprintf("; a pong came with another payload, %s", client.Quoted(m.bytes))
		case m.opcode == opPing: // answered already
		case p.o.Ping:
			p.report.Others++
		case bytes.Equal(m.bytes, sent):
			return faultf("it came back as a binary message, and was text")
		case bytes.Contains(m.bytes, halves[0]), bytes.Contains(m.bytes, halves[1]):
			return faultf("%s came back, and %s was sent", client.Quoted(m.bytes), client.Quoted(sent))
		default:
			p.report.Others++
			p.note = fmt.Sprintf("; of the other messages (%d) the last was %s", p.report.Others, client.Quoted(m.bytes))
		}
	}
}

// closedBefore is for a close frame in place of the echo. It is answered.
func (p *probing) closedBefore(m message) error {
	code, reason, err := parseClose(m.bytes)
	if err != nil {
		return err
	}
	p.report.CloseCode = code
	_ = p.conn.write(opClose, m.bytes[:min(len(m.bytes), 2)])
	return fault{"it closed the connection" + with(code, reason), nil}
}

// close says goodbye, and waits for the answer (RFC 6455, section 7.1.2). What
// comes before it was on its way.
func (p *probing) close(context.Context) error {
	p.note = ""
	if err := p.conn.write(opClose, []byte{1000 >> 8, 1000 & 0xff}); err != nil {
		return err
	}
	for {
		m, err := p.conn.next()
		if err != nil {
			return err
		}
		if m.opcode != opClose {
			continue
		}
		code, reason, err := parseClose(m.bytes)
		if err != nil {
			return err
		}
		p.report.CloseCode = code
		if code != 1000 && code != 1005 {
			return fault{"it closed the connection" + with(code, reason), nil}
		}
		return nil
	}
}

// with is a close code and its reason in a sentence.
func with(code int, reason []byte) string {
	switch {
	case code == 1005:
		return " without a code"
	case len(reason) > 0:
		return fmt.Sprintf(" with %d: %s", code, client.Quoted(reason))
	}
	return fmt.Sprintf(" with %d", code)
}
