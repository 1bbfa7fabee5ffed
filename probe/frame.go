package probe

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"io"
	"unicode/utf8"
)

// Opcodes (RFC 6455, section 5.2).
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// kept is how much of a message is looked at.
const kept = 4 << 10

// A message is one that has come, or a part of it, or a control frame.
type message struct {
	opcode byte
	open   bool   // a continuation is to come
	bytes  []byte // the first that are kept
	length uint64
}

// A budget is what may come before the echo.
type budget struct {
	frames int
	bytes  uint64
}

// write sends a frame (RFC 6455, section 5.2) of up to 125 bytes.
func (c *conn) write(opcode byte, payload []byte) error {
	b := []byte{0x80 | opcode, 0x80 | byte(len(payload)), 0, 0, 0, 0}
	rand.Read(b[2:])
	for i, v := range payload {
		b = append(b, v^b[2+i%4])
	}
	c.closing = c.closing || opcode == opClose
	_, err := c.Write(b)
	return err
}

// next reads a whole message, or a control frame; a ping it answers.
func (c *conn) next() (message, error) {
	for {
		m, err := c.frame()
		switch {
		case err != nil:
			return message{}, err
		case m.opcode == opPing && !c.closing:
			if err := c.write(opPong, m.bytes); err != nil {
				return message{}, err
			}
		case !m.open:
			return m, nil
		}
	}
}

// frame reads one. What it returns is the message so far.
func (c *conn) frame() (message, error) {
	fin, opcode, length, err := c.header()
	if err != nil {
		return message{}, err
	}
	if c.budget != nil {
		if c.budget.frames--; c.budget.frames < 0 {
			return message{}, faultf("%d frames came, and what was asked for was not among them", maxFrames)
		}
	}
	if opcode >= opClose {
		m := message{opcode: opcode, length: length, bytes: make([]byte, length)}
		_, err := io.ReadFull(c.br, m.bytes)
		return m, err
	}
	switch m := &c.message; {
	case opcode == opContinuation && !m.open:
		return message{}, violation("a continuation of no message")
	case opcode != opContinuation && m.open:
		return message{}, violation("a message inside another's fragments")
	case opcode != opContinuation:
		*m = message{opcode: opcode}
	}
	if c.budget != nil {
		if length > c.budget.bytes {
			return message{}, faultf("more than %d bytes of other messages came", maxBytes)
		}
		c.budget.bytes -= length
	}
	m := &c.message
	m.open = !fin
	m.length += length
	look := make([]byte, min(length, kept-uint64(len(m.bytes))))
	if _, err := io.ReadFull(c.br, look); err != nil {
		return message{}, err
	}
	m.bytes = append(m.bytes, look...)
	_, err = io.CopyN(io.Discard, c.br, int64(length)-int64(len(look)))
	return *m, err
}

// header reads that of a frame of a server, and says what is wrong with it.
func (c *conn) header() (fin bool, opcode byte, length uint64, err error) {
	var b [8]byte
	if _, err = io.ReadFull(c.br, b[:2]); err != nil {
		return
	}
	fin, opcode, length = b[0]&0x80 != 0, b[0]&0xf, uint64(b[1]&0x7f)
	switch {
	case b[0]&0x70 != 0:
		err = violation("a reserved bit is set, and no extension was agreed on")
	case opcode > opBinary && opcode < opClose, opcode > opPong:
		err = faultf("it broke the protocol: the opcode %d is reserved", opcode)
	case b[1]&0x80 != 0:
		err = violation("a server's frame has a mask")
	case opcode >= opClose && !fin:
		err = violation("a control frame in fragments")
	case opcode >= opClose && length > 125:
		err = violation("a control frame of more than 125 bytes")
	}
	if err != nil || length < 126 {
		return
	}
	size, least := 2, uint64(126)
	if length == 127 {
		size, least = 8, 1<<16
	}
	b = [8]byte{}
	if _, err = io.ReadFull(c.br, b[8-size:]); err != nil {
		return
	}
	switch length = binary.BigEndian.Uint64(b[:]); {
	case length < least:
		err = violation("the length of a frame takes more bytes than it needs")
	case length > 1<<63-1:
		err = violation("the length of a frame has its top bit set")
	}
	return
}

func violation(what string) error { return fault{"it broke the protocol: " + what, nil} }

// parseClose returns what a close frame says (RFC 6455, section 7.4); 1005 is no
// code.
func parseClose(payload []byte) (code int, reason []byte, err error) {
	if len(payload) == 0 {
		return 1005, nil, nil
	}
	if len(payload) == 1 {
		return 0, nil, violation("a close frame of one byte")
	}
	code, reason = int(binary.BigEndian.Uint16(payload)), payload[2:]
	switch {
	case code < 1000, code >= 1004 && code <= 1006, code >= 1015 && code < 3000, code >= 5000:
		return 0, nil, faultf("it broke the protocol: a close frame with the code %d, which must not be sent", code)
	case !utf8.Valid(reason):
		return 0, nil, violation("a close reason that is not UTF-8")
	}
	return code, bytes.TrimSpace(reason), nil
}
