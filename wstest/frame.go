package wstest

import (
	"cmp"
	"fmt"
	"io"

	"example.com/wsecho/internal/frame"
)

// Opcodes (section 5.2). All others are reserved.
const (
	Continuation byte = frame.Continuation
	Text         byte = frame.Text
	Binary       byte = frame.Binary
	Close        byte = frame.Close
	Ping         byte = frame.Ping
	Pong         byte = frame.Pong
)

// The reserved bits in Frame.Rsv.
const (
	RSV1 byte = 4 // a compressed message, with permessage-deflate
	RSV2 byte = 2
	RSV3 byte = 1
)

// A Frame is one frame on the wire, legal or not. The zero value is an empty continuation
// frame without FIN.
type Frame struct {
	Fin     bool
	Rsv     byte // RSV1, RSV2 and RSV3; the upper five bits are ignored
	Opcode  byte // the upper four bits are ignored
	Masked  bool
	Key     [4]byte // the masking key, only if Masked
	Payload []byte  // never masked: Append masks it, and reading unmasks it
}

// TextFrame returns a text message of one frame. s need not be UTF-8.
func TextFrame(s string) Frame { return Frame{Fin: true, Opcode: Text, Payload: []byte(s)} }

// BinaryFrame returns a binary message of one frame.
func BinaryFrame(b []byte) Frame { return Frame{Fin: true, Opcode: Binary, Payload: b} }

// PingFrame returns a ping. It may have more than 125 bytes, which is illegal.
func PingFrame(s string) Frame { return Frame{Fin: true, Opcode: Ping, Payload: []byte(s)} }

// PongFrame returns a pong. It may have more than 125 bytes, which is illegal.
func PongFrame(s string) Frame { return Frame{Fin: true, Opcode: Pong, Payload: []byte(s)} }

// CloseFrame returns a close frame with the payload of [CloseBody].
func CloseFrame(code uint16, reason string) Frame {
	return Frame{Fin: true, Opcode: Close, Payload: CloseBody(code, reason)}
}

// Fragments returns a message with one frame for each part (section 5.4).
func Fragments(opcode byte, parts ...string) []Frame {
	frames := make([]Frame, len(parts))
	for i, part := range parts {
		frames[i] = Frame{Opcode: Continuation, Payload: []byte(part), Fin: i == len(parts)-1}
		if i == 0 {
			frames[i].Opcode = opcode
		}
	}
	return frames
}

// Open returns f without FIN, so that more frames of its message can follow.
func (f Frame) Open() Frame {
	f.Fin = false
	return f
}

// WithRsv returns f with these reserved bits.
func (f Frame) WithRsv(rsv byte) Frame {
	f.Rsv = rsv
	return f
}

// WithKey returns f masked with this key, also for a server. A key of four zeros does not
// change the payload.
func (f Frame) WithKey(key [4]byte) Frame {
	f.Masked, f.Key = true, key
	return f
}

// String describes f in a line for the log of a test.
func (f Frame) String() string {
	names := [16]string{"continuation", "text", "binary", 8: "close", 9: "ping", 10: "pong"}
	s := cmp.Or(names[f.Opcode&0xF], fmt.Sprintf("opcode %#x", f.Opcode))
	if f.Rsv != 0 {
		s += fmt.Sprintf(" rsv %03b", f.Rsv&7)
	}
	if !f.Fin {
		s += " without fin"
	}
	if f.Masked {
		s += " masked"
	}
	if len(f.Payload) > 64 {
		return fmt.Sprintf("%s of %d bytes", s, len(f.Payload))
	}
	return fmt.Sprintf("%s %q", s, f.Payload)
}

// Append appends f in wire format, with the length in its shortest form, and returns the
// extended slice. It does not change the payload of f.
func (f Frame) Append(b []byte) []byte {
	first := f.Rsv&7<<4 | f.Opcode&0xF
	if f.Fin {
		first |= frame.Fin
	}
	if f.Masked {
		return frame.AppendMasked(b, first, f.Key, f.Payload)
	}
	return append(append(b, Header(first, false, f.Key, uint64(len(f.Payload)), 0)...), f.Payload...)
}

// Header returns a frame header (section 5.2). Its length may be false, or in a longer form
// than is allowed.
//
// first contains FIN, the reserved bits and the opcode, as in 0x80|Text. bits is the form
// of the length by its name in the RFC: 7, 16 or 64. 0 is the shortest form, and any other
// value panics. A length that is too long for its form loses its high bits. So 126 in 7
// bits is a header that announces 16 more bits, which are missing. Only a masked header
// has the key.
func Header(first byte, masked bool, key [4]byte, length uint64, bits int) []byte {
	return frame.Header{First: first, Masked: masked, Key: key, Length: length}.Append(nil, bits)
}

// Decode returns the first frame in b and the bytes after it. It accepts a length in a
// longer form than necessary. The only errors are io.EOF if b is empty, and
// io.ErrUnexpectedEOF if b has no whole frame. The payload is a copy.
func Decode(b []byte) (f Frame, rest []byte, err error) {
	if len(b) == 0 {
		return Frame{}, b, io.EOF
	}
	h, size := frame.ParseHeader(b)
	if len(b) < size || uint64(len(b)-size) < h.Length {
		return Frame{}, b, io.ErrUnexpectedEOF
	}
	end := size + int(h.Length)
	f = frameOf(h)
	f.Payload = append(f.Payload, b[size:end]...)
	f.unmask()
	return f, b[end:], nil
}

// frameOf returns a frame with this header and no payload yet.
func frameOf(h frame.Header) Frame {
	return Frame{Fin: h.Fin(), Rsv: h.First >> 4 & 7, Opcode: h.Opcode(), Masked: h.Masked, Key: h.Key, Payload: []byte{}}
}

// unmask unmasks the payload of a received frame.
func (f Frame) unmask() {
	if f.Masked {
		frame.Mask(f.Payload, f.Key)
	}
}
