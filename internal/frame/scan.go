package frame

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// A Scanner follows the frames of a client in the buffer they were read into. It
// lets pass what is in order and finds what is not, and it cuts a data frame
// that has not wholly arrived into fragments that have: who reads them never waits
// inside a frame, so that it can be closed at any time, and text can be checked
// as it comes. The payload is not moved.
//
// The zero Scanner takes empty messages only: see Limit.
type Scanner struct {
	Limit   int64 // of a message's payload; negative: none
	Deflate bool  // RSV1 may be set

	// The message in progress.
	open  bool  // it has begun, and its last frame has not
	most  int64 // what its size may be on the wire; negative: anything
	Size  int64 // bytes announced so far; stays until the next begins
	count int64 // frames so far

	// The data frame that has arrived in part.
	Rest  int64  // bytes of its payload still to come
	first byte   // first byte of the header of its next piece, without FIN
	fin   bool   // it is its message's last
	key   uint32 // its mask key, turned to the next byte, as little endian

	Control byte   // opcode of the ping or pong that was just met; 0 none
	Payload []byte // its payload, in the buffer

	CloseCode   websocket.StatusCode // of the peer's close frame; 0 none yet
	CloseReason string

	Messages, Bytes int64 // whole messages, and bytes of payload
}

// Resume writes a header before b[at] that makes the bytes from there on a
// fragment of the frame in progress. It returns where the header begins and
// where the fragment ends.
func (s *Scanner) Resume(b []byte, at, end int) (from, to int) {
	n := min(s.Rest, int64(end-at))
	s.Rest -= n
	first := s.first
	if s.fin && s.Rest == 0 {
		first |= Fin
	}
	from = PutHeader(b, at, first, n, s.key)
	s.first = Continuation
	s.turn(n)
	s.took(int(n))
	return from, at + int(n)
}

// Next looks at the frame that begins at b[at]. Up to end it may be handed on: the
// whole of it, or of a data frame what is there. From keep on, b is a header or
// a control frame that has begun and waits for more; end is at then. An error is
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
			err = s.close(p, h.key)
		} else {
			unmask(p, h.key)
			s.Control, s.Payload = h.op, p
		}
		return end, end, err
	}
	if err := s.admit(h); err != nil {
		return at, len(b), err
	}
	s.fin, s.key, s.Rest = h.fin, h.key, 0
	if have < h.length {
		s.Rest = h.length - have
		if have == 0 { // only a header: Resume will make it
			s.first = f[0] &^ Fin
			return at, end, nil
		}
		s.first = Continuation
		f[0] &^= Fin
		setLen(f, have)
		s.turn(have)
	}
	s.took(end - at - n)
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

// header reads and checks the header at the start of f. n is its length, 0 if it
// is not all there; what can be seen to be wrong is refused even then.
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
	size := int(f[1] &^ maskBit)
	switch {
	case f[1]&maskBit == 0:
		return h, 0, protocol("unmasked frame")
	case h.control() && size > 125:
		return h, 0, protocol("control frame over 125 bytes")
	}
	if n = headerLen(f[1]); len(f) < n {
		return h, 0, nil
	}
	h.length = int64(size)
	switch size {
	case 126:
		h.length = int64(binary.BigEndian.Uint16(f[2:]))
	case 127:
		h.length = int64(binary.BigEndian.Uint64(f[2:]))
	}
	if h.length < 0 {
		return h, 0, protocol("length with the top bit set")
	}
	if size > 125 && shortest(h.length) < n {
		return h, 0, protocol("length not in its shortest form")
	}
	h.key = binary.LittleEndian.Uint32(f[n-4:])
	return h, n, nil
}

// admit takes a data frame into its message, or refuses it.
func (s *Scanner) admit(h header) *ending.Error {
	if !s.open {
		s.Size, s.count = 0, 0
		s.most = s.Limit
		if h.rsv1 && s.Limit >= 0 {
			// The limit counts what comes out. On the wire it may be more, where
			// the peer compresses a message bit by bit, but not without end.
			s.most += s.Limit/8 + 1024
		}
	}
	s.open = !h.fin
	s.count++
	if s.most >= 0 && h.length > s.most-s.Size {
		return TooBig(s.Limit)
	}
	s.Size += h.length
	if s.count > tinyFrames+s.Size/tinySize {
		return &ending.Error{Kind: ending.Flood, Reason: "message in too many fragments"}
	}
	return nil
}

// A message may have tinyFrames fragments of any size and beyond that must have
// tinySize bytes in each, on average.
const (
	tinyFrames = 1024
	tinySize   = 8
)

// close takes the peer's close frame, RFC 6455, section 5.5.1.
func (s *Scanner) close(masked []byte, key uint32) (err *ending.Error) {
	s.CloseCode, s.CloseReason, err = readClose(masked, key, false)
	return err
}

// took counts payload that has arrived, and the message that it completes.
func (s *Scanner) took(n int) {
	s.Bytes += int64(n)
	if s.Rest == 0 && s.fin {
		s.Messages++
	}
}

// turn moves the mask key on by n bytes.
func (s *Scanner) turn(n int64) { s.key = bits.RotateLeft32(s.key, -8*int(n&3)) }

// Announced returns the length on the wire of the message in progress, or of the last one,
// or -1 if the header of its last frame has not been read.
func (s *Scanner) Announced() int64 {
	if s.open {
		return -1
	}
	return s.Size
}

// Inside reports whether a message, or a frame of it, has begun and not ended.
func (s *Scanner) Inside() bool { return s.open || s.Rest > 0 }

func protocol(format string, args ...any) *ending.Error {
	return &ending.Error{Kind: ending.Protocol, Reason: fmt.Sprintf(format, args...)}
}

// TooBig is the ending of a message that is larger than the limit.
func TooBig(limit int64) *ending.Error {
	return &ending.Error{Kind: ending.TooBig, Reason: fmt.Sprintf("message over %d bytes", limit)}
}
