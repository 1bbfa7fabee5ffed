// Package frame implements the frames of RFC 6455, section 5, for a server. A [Scanner]
// checks a client's frames, and a [Tracker] tracks the server's own frames. Functions
// encode and decode the parts of a frame.
//
//	s := frame.Scanner{Limit: 1 << 20}
//	end, keep, err := s.Next(b, at) // b[at:end] is valid
//
// The package changes bytes in place. It does no I/O, does not block and starts no
// goroutine. It neither answers frames nor decompresses payloads.
package frame

import (
	"encoding/binary"

	"github.com/coder/websocket"
)

// Opcodes, RFC 6455, section 5.2. Those of control frames are Close and greater.
const (
	Continuation = 0x0
	Text         = 0x1
	Binary       = 0x2
	Close        = 0x8
	Ping         = 0x9
	Pong         = 0xA
)

// Bits of a frame's first byte. Fin marks the last frame of a message. RSV1 marks the
// first frame of a compressed message (RFC 7692, section 6).
const (
	Fin  = 0x80
	RSV1 = 0x40
)

const (
	rsvBits = 0x70
	maskBit = 0x80 // of the second byte
)

// MaxHeader is the longest header: two bytes, eight of length and four of mask key.
const MaxHeader = 14

// Opcode returns the opcode in the first byte of a frame.
func Opcode(first byte) byte { return first & 0xf }

// Payload unmasks and returns the payload of a client's frame, which must be complete and
// valid.
func Payload(f []byte) []byte {
	h, n := ParseHeader(f)
	Mask(f[n:], h.Key)
	return f[n:]
}

// Encode returns a server's control frame with a payload of at most 125 bytes.
func Encode(op byte, payload []byte) []byte {
	return append([]byte{Fin | op, byte(len(payload))}, payload...)
}

// EncodeClose returns a server's close frame with a reason of at most 123 bytes, RFC 6455,
// section 5.5.1. For websocket.StatusNoStatusRcvd the frame has no payload.
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
