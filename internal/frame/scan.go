package frame

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// A Scanner checks a client's frames in the buffer they were read into. It splits a data
// frame that is incomplete: the part that has arrived becomes a fragment of its own. So a
// reader of whole frames never waits inside a frame. It can be closed at any time, and can
// check text as it arrives. The Scanner does not move payloads.
//
// The zero Scanner accepts empty messages only, see Limit.
type Scanner struct {
	Limit   int64 // the largest payload of a message; negative: none
	Deflate bool  // RSV1 may be set

	// The message in progress.
	open    bool  // its first frame has begun, and its last has not
	maxSize int64 // its largest size on the wire; negative: any
	Size    int64 // the bytes announced so far; stays until the next message begins
	frames  int64 // the frames so far

	// The incomplete data frame.
	Remaining int64  // bytes of its payload that follow
	first     byte   // the first byte of its next fragment's header, without FIN
	fin       bool   // it is the last of its message
	typ       byte   // the type of its message, an index of Counts
	key       uint32 // its mask key, rotated to the next byte, as little endian

	Control byte   // the opcode of the ping or pong that Next has found; 0: none
	Payload []byte // its payload, in the buffer

	CloseCode   websocket.StatusCode // of the peer's close frame; 0: none was received
	CloseReason string

	Counts ByType
}

// Resume writes a header before b[at]. Then the bytes from there on are a fragment of the
// frame in progress. It returns the start of the header and the end of the fragment.
func (s *Scanner) Resume(b []byte, at, end int) (from, to int) {
	n := min(s.Remaining, int64(end-at))
	s.Remaining -= n
	first := s.first
	if s.fin && s.Remaining == 0 {
		first |= Fin
	}
	from = PutHeader(b, at, first, n, s.key)
	s.first = Continuation
	s.rotateKey(n)
	s.addPayload(int(n))
	return from, at + int(n)
}

// Next checks the frame that begins at b[at]. A reader may use b[at:end], which is a
// frame or the fragment of it that has arrived. b[keep:] is not scanned. If end is at,
// it is an incomplete header or control frame, and Next needs more input. An error is
// final.
func (s *Scanner) Next(b []byte, at int) (end, keep int, err *ending.Error) {
	f := b[at:]
	h, n, err := s.header(f)
	if err != nil {
		return at, len(b), err
	}
	have := int64(len(f) - n)
	if n == 0 {
		return at, at, nil
	}
	if h.control() && have < h.length {
		if h.op == Close {
			_, _, err = readClose(f[n:], h.key, true)
		}
		return at, at, err
	}
	end = at + n + int(min(have, h.length))
	if h.control() {
		p := f[n : n+int(h.length)]
		if h.op == Close {
			s.CloseCode, s.CloseReason, err = readClose(p, h.key, false)
		} else {
			unmask(p, h.key)
			s.Control, s.Payload = h.op, p
		}
		return end, end, err
	}
	if err := s.admit(h); err != nil {
		return at, len(b), err
	}
	s.fin, s.key, s.Remaining = h.fin, h.key, 0
	if have < h.length {
		s.Remaining = h.length - have
		if have == 0 { // only the header has arrived: Resume writes another one
			s.first = f[0] &^ Fin
			return at, end, nil
		}
		s.first = Continuation
		part := Header{First: f[0] &^ Fin, Masked: true, Key: [4]byte(f[n-4:]), Length: uint64(have)}
		part.Append(f[:0], max(7, 8*(n-6))) // the form stays, so the size stays
		s.rotateKey(have)
	}
	s.addPayload(end - at - n)
	return end, end, nil
}

type header struct {
	op     byte
	fin    bool
	rsv1   bool
	length int64
	key    uint32
}

func (h header) control() bool { return h.op >= Close }

// header parses and checks the header at the start of f. n is its length, 0 if it is
// incomplete. An incomplete header can be an error too.
func (s *Scanner) header(f []byte) (h header, n int, err *ending.Error) {
	h.op, h.fin, h.rsv1 = Opcode(f[0]), f[0]&Fin != 0, f[0]&RSV1 != 0
	switch {
	case h.op > Binary && h.op < Close, h.op > Pong:
		return h, 0, protocol("reserved opcode %#x", h.op)
	case f[0]&rsvBits&^RSV1 != 0, h.rsv1 && (!s.Deflate || h.op != Text && h.op != Binary):
		return h, 0, protocol("reserved bit set")
	case h.control() && !h.fin:
		return h, 0, protocol("fragmented control frame")
	case h.op == Continuation && !s.open:
		return h, 0, protocol("continuation without a message")
	case (h.op == Text || h.op == Binary) && s.open:
		return h, 0, protocol("new message inside another")
	}
	if len(f) < 2 {
		return h, 0, nil
	}
	switch {
	case f[1]&maskBit == 0:
		return h, 0, protocol("unmasked frame")
	case h.control() && f[1]&^maskBit > 125:
		return h, 0, protocol("control frame over 125 bytes")
	}
	if n = headerSize(f[1]); len(f) < n {
		return h, 0, nil
	}
	length := payloadLength(f)
	switch {
	case length > math.MaxInt64:
		return h, 0, protocol("length with the top bit set")
	case n > 6 && n > 6+shortest(length)/8:
		return h, 0, protocol("length not in its shortest form")
	}
	h.length = int64(length)
	h.key = binary.LittleEndian.Uint32(f[n-4:])
	return h, n, nil
}

// admit adds a data frame to its message, or returns why the frame is not allowed.
func (s *Scanner) admit(h header) *ending.Error {
	if !s.open {
		s.Size, s.frames = 0, 0
		s.typ = h.op - Text
		s.maxSize = s.Limit
		if h.rsv1 && s.Limit >= 0 {
			// The limit is for the decompressed size. A message that is compressed
			// in many flushes can be larger on the wire.
			s.maxSize += s.Limit/8 + 1024
		}
	}
	s.open = !h.fin
	s.frames++
	if s.maxSize >= 0 && h.length > s.maxSize-s.Size {
		return TooBig(s.Limit)
	}
	s.Size += h.length
	if s.frames > tinyFrames+s.Size/tinySize {
		return &ending.Error{Kind: ending.Flood, Reason: "message in too many fragments"}
	}
	return nil
}

// A message may have tinyFrames fragments of any size. Further fragments must have
// tinySize bytes on average.
const (
	tinyFrames = 1024
	tinySize   = 8
)

// addPayload counts n bytes of payload, and the message if they complete it.
func (s *Scanner) addPayload(n int) {
	c := &s.Counts[s.typ&1]
	c.Bytes += int64(n)
	if s.Remaining == 0 && s.fin {
		c.Messages++
	}
}

// rotateKey rotates the mask key by n bytes.
func (s *Scanner) rotateKey(n int64) { s.key = bits.RotateLeft32(s.key, -8*int(n&3)) }

// Announced returns the length on the wire of the message in progress, or of the last one.
// It returns -1 if the header of its last frame has not been read.
func (s *Scanner) Announced() int64 {
	if s.open {
		return -1
	}
	return s.Size
}

// Inside reports whether a message is in progress.
func (s *Scanner) Inside() bool { return s.open || s.Remaining > 0 }

func protocol(format string, args ...any) *ending.Error {
	return &ending.Error{Kind: ending.Protocol, Reason: fmt.Sprintf(format, args...)}
}

// TooBig returns the ending of a message over the limit.
func TooBig(limit int64) *ending.Error {
	return &ending.Error{Kind: ending.TooBig, Reason: fmt.Sprintf("message over %d bytes", limit)}
}
