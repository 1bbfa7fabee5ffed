package transport

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// Opcodes and bits of RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA

	finBit  = 0x80
	rsv1    = 0x40
	rsvBits = 0x70
	maskBit = 0x80
)

// A scanner follows the frames of a client in the buffer they were read into. It
// lets pass what is in order and finds what is not, and it cuts a data frame
// that has not wholly arrived into fragments that have: coder above never waits
// inside a frame, so that it can be closed at any time, and text can be checked
// as it comes. The payload is not moved.
type scanner struct {
	limit   int64 // of a message's payload; negative: none
	deflate bool  // RSV1 may be set

	// The message in progress.
	open  bool  // it has begun, and its last frame has not
	most  int64 // what its size may be on the wire; negative: anything
	size  int64 // bytes announced so far
	count int64 // frames so far

	// The data frame that has arrived in part.
	rest  int64  // bytes of its payload still to come
	first byte   // first byte of the header of its next piece, without FIN
	fin   bool   // it is its message's last
	key   uint32 // its mask key, turned to the next byte, as little endian

	control byte   // opcode of the ping or pong that was just met; 0 none
	payload []byte // its payload, in the buffer

	closeCode   websocket.StatusCode // of the peer's close frame; 0 none yet
	closeReason string

	messages, bytes int64 // whole messages, and bytes of payload
}

// resume writes a header before b[at] that makes the bytes from there on a
// fragment of the frame in progress. It returns where the header begins and
// where the fragment ends.
func (s *scanner) resume(b []byte, at, end int) (from, to int) {
	n := min(s.rest, int64(end-at))
	s.rest -= n
	from = at - headerLen(n)
	b[from] = s.first
	if s.fin && s.rest == 0 {
		b[from] |= finBit
	}
	s.first = opContinuation
	putLen(b[from:], n)
	binary.LittleEndian.PutUint32(b[at-4:], s.key)
	s.turn(n)
	s.took(int(n))
	return from, at + int(n)
}

// next looks at the frame that begins at b[at]. Up to end coder may have it: the
// whole of it, or of a data frame what is there. From keep on, b is a header or
// a control frame that has begun and waits for more; end is at then. An error is
// final.
func (s *scanner) next(b []byte, at int) (end, keep int, err *ending.Error) {
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
		if h.op == opClose {
			_, _, err = readClose(f[n:], h.key, true)
		}
		return at, at, err
	}
	end = at + n + int(min(have, h.length))
	if h.control() {
		p := f[n : n+int(h.length)]
		if h.op == opClose {
			err = s.close(p, h.key)
		} else {
			unmask(p, h.key)
			s.control, s.payload = h.op, p
		}
		return end, end, err
	}
	if err := s.admit(h); err != nil {
		return at, len(b), err
	}
	s.fin, s.key, s.rest = h.fin, h.key, 0
	if have < h.length {
		s.rest = h.length - have
		if have == 0 { // only a header: resume will make it
			s.first = f[0] &^ finBit
			return at, end, nil
		}
		s.first = opContinuation
		f[0] &^= finBit
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

func (h header) control() bool { return h.op >= opClose }

// header reads and checks the header at the start of f. n is its length, 0 if it
// is not all there; what can be seen to be wrong is refused even then.
func (s *scanner) header(f []byte) (h header, n int, err *ending.Error) {
	h.op, h.fin, h.rsv1 = f[0]&0xf, f[0]&finBit != 0, f[0]&rsv1 != 0
	switch {
	case h.op > opBinary && h.op < opClose, h.op > opPong:
		return h, 0, protocol("reserved opcode %#x", h.op)
	case f[0]&rsvBits&^rsv1 != 0, h.rsv1 && (!s.deflate || h.op != opText && h.op != opBinary):
		return h, 0, protocol("reserved bit set")
	case h.control() && !h.fin:
		return h, 0, protocol("fragmented control frame")
	case h.op == opContinuation && !s.open:
		return h, 0, protocol("continuation without a message")
	case (h.op == opText || h.op == opBinary) && s.open:
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
	n = 2 + 4
	switch size {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if len(f) < n {
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
	if size > 125 && headerLen(h.length) < n {
		return h, 0, protocol("length not in its shortest form")
	}
	h.key = binary.LittleEndian.Uint32(f[n-4:])
	return h, n, nil
}

// admit takes a data frame into its message, or refuses it.
func (s *scanner) admit(h header) *ending.Error {
	if !s.open {
		s.size, s.count = 0, 0
		s.most = s.limit
		if h.rsv1 && s.limit >= 0 {
			// The limit counts what comes out. On the wire it may be more, where
			// the peer compresses a message bit by bit, but not without end.
			s.most += s.limit/8 + 1024
		}
	}
	s.open = !h.fin
	s.count++
	if s.most >= 0 && h.length > s.most-s.size {
		return tooBig(s.limit)
	}
	s.size += h.length
	if s.count > tinyFrames+s.size/tinySize {
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
func (s *scanner) close(masked []byte, key uint32) (err *ending.Error) {
	s.closeCode, s.closeReason, err = readClose(masked, key, false)
	return err
}

// readClose reads the payload of a close frame, or what is there of one of which
// there is more to come. What can be seen to be wrong is refused even then.
func readClose(masked []byte, key uint32, more bool) (websocket.StatusCode, string, *ending.Error) {
	var p [125]byte
	n := copy(p[:], masked)
	unmask(p[:n], key)
	switch {
	case n < 2 && more:
		return 0, "", nil
	case n == 0:
		return websocket.StatusNoStatusRcvd, "", nil
	case n == 1:
		return 0, "", protocol("close frame of one byte")
	}
	code := websocket.StatusCode(binary.BigEndian.Uint16(p[:]))
	if !LegalCode(code) {
		return 0, "", protocol("close code %d", int(code))
	}
	reason := p[2:n]
	if end, ok := UTF8(reason); !ok || end < len(reason) && !more {
		return 0, "", &ending.Error{Kind: ending.InvalidUTF8, Reason: "close reason is not UTF-8"}
	}
	return code, string(reason), nil
}

// UTF8 reports whether p can be the beginning of a text: whether it is UTF-8 up to
// end, from where on there is a rune of which there is more to come, if any.
func UTF8(p []byte) (end int, ok bool) {
	end = len(p)
	for i := end - 1; i >= 0 && i > end-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				end = i
			}
			break
		}
	}
	return end, utf8.Valid(p[:end])
}

// LegalCode is which codes may be on the wire: RFC 6455, section 7.4, and those
// registered since, up to 1014.
func LegalCode(c websocket.StatusCode) bool {
	switch c {
	case 1004, websocket.StatusNoStatusRcvd, websocket.StatusAbnormalClosure:
		return false
	}
	return c >= 1000 && c <= 1014 || c >= 3000 && c <= 4999
}

func unmask(p []byte, key uint32) {
	for twice := uint64(key)<<32 | uint64(key); len(p) >= 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^twice)
	}
	for i := range p {
		p[i] ^= byte(key >> (8 * (i & 3)))
	}
}

// took counts payload that has arrived, and the message that it completes.
func (s *scanner) took(n int) {
	s.bytes += int64(n)
	if s.rest == 0 && s.fin {
		s.messages++
	}
}

// turn moves the mask key on by n bytes.
func (s *scanner) turn(n int64) { s.key = bits.RotateLeft32(s.key, -8*int(n&3)) }

// inside reports whether a message, or a frame of it, has begun and not ended.
func (s *scanner) inside() bool { return s.open || s.rest > 0 }

// headerLen is the length of a masked frame's header.
func headerLen(payload int64) int {
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
	switch headerLen(n) {
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

func protocol(format string, args ...any) *ending.Error {
	return &ending.Error{Kind: ending.Protocol, Reason: fmt.Sprintf(format, args...)}
}
