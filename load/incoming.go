package load

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"example.com/wsecho/internal/client"
)

// incoming checks what comes back on a connection.
type incoming struct {
	c    *conn
	buf  []byte
	kept int   // bytes at the start of buf that are part of a header
	done int64 // messages that were right, since the beginning

	frame struct {
		begun  bool
		opcode byte
		fin    bool
		left   uint64 // bytes of its payload that are still to come
	}
	control []byte // the payload of a control frame so far

	message struct {
		begun  bool
		packed bool // it is compressed
		size   int  // bytes that have come and were right
	}
	packed  []byte // a compressed message so far
	inflate inflater
}

func (in *incoming) init(c *conn, size int) {
	in.c = c
	in.buf = make([]byte, max(size, len(c.early)))
	in.inflate.takeover = c.takeover
}

// read reads once and checks what came. The error is a fault, or that of the read.
func (in *incoming) read() error {
	var n int
	var err error
	if len(in.c.early) > 0 {
		n, in.c.early = copy(in.buf, in.c.early), nil
	} else {
		n, err = in.c.Read(in.buf[in.kept:])
	}
	if n > 0 {
		rest, wrong := in.check(in.buf[:in.kept+n])
		if wrong != nil {
			return wrong
		}
		in.kept = copy(in.buf, rest)
	}
	return err
}

// check goes through b and returns the part of a header at its end.
func (in *incoming) check(b []byte) ([]byte, error) {
	for {
		if !in.frame.begun && !in.message.begun {
			// Nearly always this is all.
			for {
				n := in.c.turn.messages.matches(in.next(), in.room(), b)
				if n == 0 {
					break
				}
				in.done += int64(n)
				b = b[n*in.c.turn.messages.inOne:]
			}
		}
		if !in.frame.begun {
			n, err := in.header(b)
			if n == 0 || err != nil {
				return b, err
			}
			b = b[n:]
		}
		n := int(min(uint64(len(b)), in.frame.left))
		if err := in.payload(b[:n]); err != nil {
			return nil, err
		}
		b = b[n:]
		in.frame.left -= uint64(n)
		if in.frame.left > 0 {
			return nil, nil
		}
		in.frame.begun = false
		if err := in.frameEnds(); err != nil {
			return nil, err
		}
	}
}

// next is the number of the message that is to come, and room how many may.
func (in *incoming) next() int { return in.c.first + int(in.done) }
func (in *incoming) room() int { return int(in.c.due.Load() - in.done) }

// header begins a frame. It returns the length of the header, 0 if not all is there.
func (in *incoming) header(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, nil
	}
	n, length := 2, uint64(b[1]&0x7f)
	switch length {
	case 126:
		n = 4
	case 127:
		n = 10
	}
	if len(b) < n {
		return 0, nil
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		length = binary.BigEndian.Uint64(b[2:])
	}
	f := &in.frame
	f.begun, f.fin, f.opcode, f.left = true, b[0]&bitFin != 0, b[0]&0xf, length
	packed := b[0]&bitRsv1 != 0
	switch {
	case b[1]&bitMask != 0:
		return 0, fault{brokeProtocol, "it masks its frames"}
	case b[0]&0x30 != 0, packed && (!in.c.turn.plan.Compression || f.opcode != opText && f.opcode != opBinary):
		return 0, faultf(brokeProtocol, "a frame begins with %#02x, which sets a reserved bit", b[0])
	case f.opcode >= opClose && (!f.fin || length > 125):
		return 0, fault{brokeProtocol, "a control frame is in fragments or longer than 125 bytes"}
	case f.opcode == opClose, f.opcode == opPing, f.opcode == opPong:
		in.control = in.control[:0]
		return n, nil
	case f.opcode > opBinary:
		return 0, faultf(brokeProtocol, "a frame has the opcode %#x, which is reserved", f.opcode)
	case (f.opcode == opContinuation) != in.message.begun:
		return 0, fault{brokeProtocol, "a message begins inside another, or goes on without one"}
	}
	m := in.c.turn.messages
	if f.opcode != opContinuation {
		if in.room() == 0 {
			return 0, faultf(unasked, "%s of %d bytes or more", kindOf(f.opcode), length)
		}
		if f.opcode != m.opcode {
			return 0, faultf(wrongEcho, "%s came back as %s", kindOf(m.opcode), kindOf(f.opcode))
		}
		in.message.begun, in.message.packed, in.message.size = true, packed, 0
		in.packed = in.packed[:0]
	}
	have, most := in.message.size, m.size
	if in.message.packed {
		// More than what it takes to write it down as it is: nobody's compression.
		have, most = len(in.packed), 2*m.size+1024
	}
	if length > uint64(most-have) {
		return 0, faultf(wrongEcho, "it came back longer than the %d bytes that were sent", m.size)
	}
	return n, nil
}

func kindOf(opcode byte) string {
	if opcode == opText {
		return "a text"
	}
	return "a binary message"
}

// payload checks a part of a frame.
func (in *incoming) payload(b []byte) error {
	switch {
	case in.frame.opcode >= opClose:
		in.control = append(in.control, b...)
		return nil
	case in.message.packed:
		in.packed = append(in.packed, b...)
	default:
		if err := in.compare(b, in.message.size); err != nil {
			return err
		}
		in.message.size += len(b)
	}
	if len(b) > 0 {
		in.c.moved.Add(1)
	}
	return nil
}

// compare compares a part of the message, from a byte of it on.
func (in *incoming) compare(b []byte, from int) error {
	want := in.c.turn.messages.at(in.next())[from:]
	if bytes.Equal(b, want[:len(b)]) {
		return nil
	}
	for i := range b {
		if b[i] != want[i] {
			return faultf(wrongEcho, "byte %d of %d is %#02x instead of %#02x; it has %s", from+i+1, from+len(want), b[i], want[i], client.Quoted(b[i:]))
		}
	}
	return nil
}

// frameEnds is after the last byte of a frame.
func (in *incoming) frameEnds() error {
	switch in.frame.opcode {
	case opPing:
		in.c.answer(in.control)
		return nil
	case opPong:
		return nil
	case opClose:
		return fault{closed, closeReason(in.control)}
	}
	if !in.frame.fin {
		return nil
	}
	in.message.begun = false
	size := in.message.size
	if in.message.packed {
		most := in.c.turn.messages.size
		plain, err := in.inflate.inflate(in.packed, most)
		if err != nil {
			return faultf(wrongEcho, "inflating it: %v", err)
		}
		if err := in.compare(plain, 0); err != nil {
			return err
		}
		size = len(plain)
	}
	if want := in.c.turn.messages.size; size != want {
		return faultf(wrongEcho, "%d of %d bytes came back", size, want)
	}
	in.done++
	return nil
}

// closeReason says what a close frame does (section 5.5.1).
func closeReason(p []byte) string {
	switch len(p) {
	case 0:
		return "a close frame without a code"
	case 1:
		return "a close frame of one byte"
	}
	s := fmt.Sprintf("close code %d", binary.BigEndian.Uint16(p))
	if len(p) > 2 {
		s += ", " + client.Quoted(p[2:])
	}
	return s
}
