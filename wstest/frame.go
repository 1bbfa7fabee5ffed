package wstest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
)

// The opcodes (section 5.2). All others are reserved.
const (
	Continuation byte = 0x0
	Text         byte = 0x1
	Binary       byte = 0x2
	Close        byte = 0x8
	Ping         byte = 0x9
	Pong         byte = 0xA
)

// The reserved bits as they stand in Frame.Rsv.
const (
	RSV1 byte = 4 // a compressed message, with permessage-deflate
	RSV2 byte = 2
	RSV3 byte = 1
)

// A Frame is one frame on the wire. Nothing in it has to be legal. The zero
// value is an empty continuation frame that does not end its message.
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

// PingFrame returns a ping. More than 125 bytes are illegal, and sent.
func PingFrame(s string) Frame { return Frame{Fin: true, Opcode: Ping, Payload: []byte(s)} }

// PongFrame returns a pong. More than 125 bytes are illegal, and sent.
func PongFrame(s string) Frame { return Frame{Fin: true, Opcode: Pong, Payload: []byte(s)} }

// CloseFrame returns a close frame with the payload of [CloseBody].
func CloseFrame(code uint16, reason string) Frame {
	return Frame{Fin: true, Opcode: Close, Payload: CloseBody(code, reason)}
}

// Fragments returns a message in as many frames as there are parts (section
// 5.4): the first has the opcode, the others continue it, the last has FIN.
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

// Open returns f without FIN: the first frame of a message that goes on.
func (f Frame) Open() Frame {
	f.Fin = false
	return f
}

// WithRsv returns f with these reserved bits.
func (f Frame) WithRsv(rsv byte) Frame {
	f.Rsv = rsv
	return f
}

// WithKey returns f masked with this key, on a server's side too. A key of four
// zeros is a mask that changes nothing.
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

// Append appends f as it goes over the wire, with the length in its shortest
// form, and returns the extended slice. The payload of f is left as it is.
func (f Frame) Append(b []byte) []byte {
	first := f.Rsv&7<<4 | f.Opcode&0xF
	if f.Fin {
		first |= 0x80
	}
	b = append(b, Header(first, f.Masked, f.Key, uint64(len(f.Payload)), 0)...)
	start := len(b)
	b = append(b, f.Payload...)
	if f.Masked {
		mask(b[start:], f.Key)
	}
	return b
}

// Header returns a frame header (section 5.2) that may lie about its length or
// state it in a longer form than is allowed.
//
// first is FIN, the reserved bits and the opcode, as in 0x80|Text. bits is the
// form of the length by its name in the RFC: 7, 16 or 64; 0 is the shortest
// that holds it, and any other value panics. A length that is too long for its
// form is cut to its low bits, so 126 in 7 bits is a header that promises 16
// bits more and does not have them. The key follows only if masked.
func Header(first byte, masked bool, key [4]byte, length uint64, bits int) []byte {
	if bits == 0 {
		switch {
		case length <= 125:
			bits = 7
		case length <= 0xFFFF:
			bits = 16
		default:
			bits = 64
		}
	}
	b := []byte{first, 0}
	switch bits {
	case 7:
		b[1] = byte(length & 0x7F)
	case 16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(length))
	case 64:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, length)
	default:
		panic("wstest: the length of a header has 7, 16 or 64 bits")
	}
	if masked {
		b[1] |= 0x80
		b = append(b, key[:]...)
	}
	return b
}

// Decode returns the first frame in b and the bytes after it. A length in a
// longer form than necessary is accepted. The error is io.EOF if b is empty and
// io.ErrUnexpectedEOF if it holds no whole frame; there is no other. The
// payload is a copy.
func Decode(b []byte) (f Frame, rest []byte, err error) {
	if len(b) == 0 {
		return Frame{}, b, io.EOF
	}
	f, length, size := parseHeader(b)
	if len(b) < size || uint64(len(b)-size) < length {
		return Frame{}, b, io.ErrUnexpectedEOF
	}
	end := size + int(length)
	f.Payload = append([]byte{}, b[size:end]...)
	if f.Masked {
		mask(f.Payload, f.Key)
	}
	return f, b[end:], nil
}

// parseHeader parses the header at the start of b. size is how long the header
// is, as far as b tells: if that is more than b, then f and length mean nothing
// and b has to grow to size first.
func parseHeader(b []byte) (f Frame, length uint64, size int) {
	if len(b) < 2 {
		return Frame{}, 0, 2
	}
	f = Frame{Fin: b[0]&0x80 != 0, Rsv: b[0] >> 4 & 7, Opcode: b[0] & 0xF, Masked: b[1]&0x80 != 0}
	length, size = uint64(b[1]&0x7F), 2
	switch length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	keyAt := size
	if f.Masked {
		size += 4
	}
	if len(b) < size {
		return Frame{}, 0, size
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		length = binary.BigEndian.Uint64(b[2:])
	}
	if f.Masked {
		copy(f.Key[:], b[keyAt:])
	}
	return f, length, size
}

// mask masks or unmasks b (section 5.3).
func mask(b []byte, key [4]byte) {
	for i := range b {
		b[i] ^= key[i&3]
	}
}
