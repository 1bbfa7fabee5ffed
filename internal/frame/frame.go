// Package frame is the grammar of the frames of RFC 6455, section 5, as a server has
// to know it: a [Scanner] for what a client sends, a [Follower] for what the server
// does, and what both are made of.
//
//	s := frame.Scanner{Limit: 1 << 20}
//	end, keep, err := s.Next(b, at) // b[at:end] is in order
//
// It looks at bytes that are there and changes them in place. It reads and writes
// nothing, waits for nothing and starts nothing; it neither answers a frame nor
// decompresses a payload, and of the text in one it knows only whether that is UTF-8.
package frame

import (
	"encoding/binary"

	"github.com/coder/websocket"
)

// Opcodes, RFC 6455, section 5.2. From Close on they are those of control frames.
const (
	Continuation = 0x0
	Text         = 0x1
	Binary       = 0x2
	Close        = 0x8
	Ping         = 0x9
	Pong         = 0xA
)

// Bits of the first byte, beside the opcode: that it is the last frame of its message,
// and that the message is compressed (RFC 7692, section 6).
const (
	Fin  = 0x80
	RSV1 = 0x40
)

const (
	rsvBits = 0x70
	maskBit = 0x80 // of the second byte
)

// MaxHeader is a header's longest: two bytes, eight of length, four of mask key.
const MaxHeader = 14

// Opcode returns the opcode in the first byte of a frame.
func Opcode(first byte) byte { return first & 0xf }

// Payload unmasks the payload of a client's frame, which must be there whole and in
// order, and returns it.
func Payload(f []byte) []byte {
	n := headerLen(f[1])
	p := f[n:]
	unmask(p, binary.LittleEndian.Uint32(f[n-4:]))
	return p
}

// PutHeader writes the header of a client's frame before b[at], where its n bytes of
// payload begin, and returns where the header does. There must be room for MaxHeader.
// A key of 0 is a mask that changes nothing.
func PutHeader(b []byte, at int, first byte, n int64, key uint32) (from int) {
	from = at - shortest(n)
	b[from] = first
	putLen(b[from:], n)
	binary.LittleEndian.PutUint32(b[at-4:], key)
	return from
}

// AppendHeader appends the header of a server's frame.
func AppendHeader(b []byte, first byte, n int) []byte {
	switch {
	case n <= 125:
		return append(b, first, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, first, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, first, 127), uint64(n))
}

// Encode returns a control frame of a server's, with a payload of at most 125 bytes.
func Encode(op byte, payload []byte) []byte {
	return append([]byte{Fin | op, byte(len(payload))}, payload...)
}

// EncodeClose returns a server's close frame with a reason of at most 123 bytes.
// RFC 6455, section 5.5.1. websocket.StatusNoStatusRcvd gives a frame without payload.
func EncodeClose(code websocket.StatusCode, reason string) []byte {
	if code == websocket.StatusNoStatusRcvd {
		return Encode(Close, nil)
	}
	return Encode(Close, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
}

func unmask(p []byte, key uint32) {
	for twice := uint64(key)<<32 | uint64(key); len(p) >= 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^twice)
	}
	for i := range p {
		p[i] ^= byte(key >> (8 * (i & 3)))
	}
}

// headerLen is the length of a client's header, by its second byte.
func headerLen(second byte) int {
	switch second &^ maskBit {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	}
	return 2 + 4
}

// shortest is the length of a client's header that says so in its shortest form.
func shortest(payload int64) int {
	switch {
	case payload <= 125:
		return 2 + 4
	case payload <= 0xffff:
		return 2 + 2 + 4
	}
	return 2 + 8 + 4
}

// putLen writes the length in its shortest form, setLen in the form that is
// there already. coder takes either.
func putLen(f []byte, n int64) {
	switch shortest(n) {
	case 2 + 4:
		f[1] = maskBit
	case 2 + 2 + 4:
		f[1] = maskBit | 126
	default:
		f[1] = maskBit | 127
	}
	setLen(f, n)
}

func setLen(f []byte, n int64) {
	switch f[1] &^ maskBit {
	case 126:
		binary.BigEndian.PutUint16(f[2:], uint16(n))
	case 127:
		binary.BigEndian.PutUint64(f[2:], uint64(n))
	default:
		f[1] = maskBit | byte(n)
	}
}
