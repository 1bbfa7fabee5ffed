package load

import (
	"bytes"
	"fmt"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/handshake"
)

// incoming checks what comes back on a connection.
type incoming struct {
	c    *conn
	buf  []byte
	kept int   // bytes at the start of buf that are part of a header
	done int64 // messages that were right, since the beginning

	frame struct {
		frame.Header
		begun bool
		left  uint64 // bytes of its payload that have not arrived
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
				n := in.c.owner.messages.matches(in.next(), in.room(), b)
				if n == 0 {
					break
				}
				in.done += int64(n)
				b = b[n*in.c.owner.messages.inOne:]
			}
		}
		if !in.frame.begun {
			n, err := in.header(b)
			if !in.frame.begun || err != nil {
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

// header begins a frame. It returns the length of the header, 0 if a part is missing.
func (in *incoming) header(b []byte) (int, error) {
	if m := in.c.owner.messages; m.bytes {
		if len(b) == 0 {
			return 0, nil
		}
		if in.room() == 0 {
			return 0, faultf(unasked, "%d bytes or more", len(b))
		}
		in.frame.Header, in.frame.left = frame.Header{First: frame.Fin | m.opcode}, uint64(m.size)
		in.frame.begun, in.message.begun, in.message.size = true, true, 0
		return 0, nil
	}
	h, n := frame.ParseHeader(b)
	if len(b) < n {
		return 0, nil
	}
	if err := h.CheckServer(in.message.begun, in.c.owner.plan.Compression); err != nil {
		return 0, fault{brokeProtocol, err.Error()}
	}
	op := h.Opcode()
	in.frame.begun, in.frame.Header, in.frame.left = true, h, h.Length
	if op >= frame.Close {
		in.control = in.control[:0]
		return n, nil
	}
	m := in.c.owner.messages
	if op != frame.Continuation {
		if in.room() == 0 {
			return 0, faultf(unasked, "%s of %d bytes or more", kindOf(op), h.Length)
		}
		if op != m.opcode {
			return 0, faultf(wrongEcho, "%s came back as %s", kindOf(m.opcode), kindOf(op))
		}
		in.message.begun, in.message.packed, in.message.size = true, h.First&frame.RSV1 != 0, 0
		in.packed = in.packed[:0]
	}
	have, most := in.message.size, m.size
	if in.message.packed {
		// No compression makes a message longer than this.
		have, most = len(in.packed), 2*m.size+1024
	}
	if h.Length > uint64(most-have) {
		return 0, faultf(wrongEcho, "it came back longer than the %d bytes that were sent", m.size)
	}
	return n, nil
}

func kindOf(opcode byte) string {
	if opcode == frame.Text {
		return "a text"
	}
	return "a binary message"
}

// payload checks a part of a frame.
func (in *incoming) payload(b []byte) error {
	switch {
	case in.frame.Opcode() >= frame.Close:
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
	want := in.c.owner.messages.at(in.next())[from:]
	if bytes.Equal(b, want[:len(b)]) {
		return nil
	}
	for i := range b {
		if b[i] != want[i] {
			return faultf(wrongEcho, "byte %d of %d is %#02x instead of %#02x; it has %s", from+i+1, from+len(want), b[i], want[i], handshake.Quoted(b[i:]))
		}
	}
	return nil
}

// frameEnds is after the last byte of a frame.
func (in *incoming) frameEnds() error {
	switch in.frame.Opcode() {
	case frame.Ping:
		in.c.answer(in.control)
		return nil
	case frame.Pong:
		return nil
	case frame.Close:
		return fault{closed, closeReason(in.control)}
	}
	if !in.frame.Fin() {
		return nil
	}
	in.message.begun = false
	size := in.message.size
	if in.message.packed {
		most := in.c.owner.messages.size
		plain, err := in.inflate.inflate(in.packed, most)
		if err != nil {
			return faultf(wrongEcho, "inflating it: %v", err)
		}
		if err := in.compare(plain, 0); err != nil {
			return err
		}
		size = len(plain)
	}
	if want := in.c.owner.messages.size; size != want {
		return faultf(wrongEcho, "%d of %d bytes came back", size, want)
	}
	in.done++
	return nil
}

// closeReason describes a close frame.
func closeReason(p []byte) string {
	code, reason, err := frame.ParseClose(p)
	switch {
	case err != nil:
		return err.Error()
	case len(p) == 0:
		return "a close frame without a code"
	case len(reason) > 0:
		return fmt.Sprintf("close code %d, %s", code, handshake.Quoted(reason))
	}
	return fmt.Sprintf("close code %d", code)
}
