package frame

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// A Header is the header of one frame of either side (RFC 6455, section 5.2). It does
// not have to be legal.
type Header struct {
	First  byte // FIN, the reserved bits and the opcode
	Masked bool
	Key    [4]byte // only if Masked
	Length uint64  // of the payload

	size int // of the header itself, if it was parsed
}

// Fin reports whether the frame is the last one of its message.
func (h Header) Fin() bool { return h.First&Fin != 0 }

// Opcode returns the opcode.
func (h Header) Opcode() byte { return Opcode(h.First) }

// Append appends the header with its length in a form of 7, 16 or 64 bits. 0 means the
// shortest possible form. A length that is too long for its form loses its high bits.
// Append panics for another form.
func (h Header) Append(b []byte, bits int) []byte {
	if bits == 0 {
		bits = shortest(h.Length)
	}
	mask := byte(0)
	if h.Masked {
		mask = maskBit
	}
	switch bits {
	case 7:
		b = append(b, h.First, mask|byte(h.Length)&^maskBit)
	case 16:
		b = binary.BigEndian.AppendUint16(append(b, h.First, mask|126), uint16(h.Length))
	case 64:
		b = binary.BigEndian.AppendUint64(append(b, h.First, mask|127), h.Length)
	default:
		panic("frame: the length of a header has 7, 16 or 64 bits")
	}
	if h.Masked {
		b = append(b, h.Key[:]...)
	}
	return b
}

// shortest returns the bits of the shortest form of a length.
func shortest(length uint64) int {
	switch {
	case length <= 125:
		return 7
	case length <= 0xffff:
		return 16
	}
	return 64
}

// shortestSize returns the size of the header with the shortest form of its length.
func (h Header) shortestSize() int {
	n := 2 + shortest(h.Length)/8
	if h.Masked {
		n += len(h.Key)
	}
	return n
}

// PutHeader writes the header of a client's frame with n bytes of payload before b[at],
// the start of the payload. It returns the start of the header. There must be room for
// MaxHeader bytes. A key of 0 leaves the payload as it is.
func PutHeader(b []byte, at int, first byte, n int64, key uint32) (from int) {
	h := Header{First: first, Masked: true, Length: uint64(n)}
	binary.LittleEndian.PutUint32(h.Key[:], key)
	from = at - h.shortestSize()
	h.Append(b[from:from], 0)
	return from
}

// AppendMasked appends a frame of a client. It does not change the payload.
func AppendMasked(b []byte, first byte, key [4]byte, payload []byte) []byte {
	b = Header{First: first, Masked: true, Key: key, Length: uint64(len(payload))}.Append(b, 0)
	start := len(b)
	b = append(b, payload...)
	Mask(b[start:], key)
	return b
}

// Mask masks or unmasks p in place (RFC 6455, section 5.3).
func Mask(p []byte, key [4]byte) { unmask(p, binary.LittleEndian.Uint32(key[:])) }

// ParseHeader parses the header at the start of b. size is the length of the header, as
// far as b contains it. If size is over len(b), h has no meaning: b must grow to size
// first.
func ParseHeader(b []byte) (h Header, size int) {
	if len(b) < 2 {
		return h, 2
	}
	if size = headerSize(b[1]); len(b) < size {
		return h, size
	}
	h = Header{First: b[0], Masked: b[1]&maskBit != 0, Length: payloadLength(b), size: size}
	if h.Masked {
		copy(h.Key[:], b[size-len(h.Key):])
	}
	return h, size
}

// headerSize returns the size of a header with this second byte.
func headerSize(second byte) int {
	n := 2
	switch second &^ maskBit {
	case 126:
		n = 4
	case 127:
		n = 10
	}
	if second&maskBit != 0 {
		n += 4
	}
	return n
}

// payloadLength returns the length in a complete header.
func payloadLength(header []byte) uint64 {
	switch n := header[1] &^ maskBit; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(header[2:]))
	case 127:
		return binary.BigEndian.Uint64(header[2:])
	default:
		return uint64(n)
	}
}

// ReadHeader reads a header: all of it, or nothing if it fails. The error is io.EOF if
// the stream ends before the header, and io.ErrUnexpectedEOF if it ends inside.
func ReadHeader(r *bufio.Reader) (h Header, err error) {
	var b []byte
	for size := 2; len(b) < size; h, size = ParseHeader(b) {
		if b, err = r.Peek(size); err != nil {
			if err == io.EOF && len(b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return Header{}, err
		}
	}
	_, err = r.Discard(h.size)
	return h, err
}

// Shortest reports whether a parsed header has its length in the shortest form, as RFC
// 6455 demands.
func (h Header) Shortest() bool { return h.size == h.shortestSize() }

// CheckServer returns an error if a server must not send a frame with this parsed
// header. open means that a message is in progress. deflate means that both sides agreed
// on permessage-deflate. CheckServer accepts a length in a longer form than the shortest
// one.
func (h Header) CheckServer(open, deflate bool) error {
	op := h.Opcode()
	data := op == Text || op == Binary
	switch {
	case h.First&rsvBits&^RSV1 != 0, h.First&RSV1 != 0 && !(deflate && data):
		return errors.New("a reserved bit is set without an extension for it")
	case op > Binary && op < Close, op > Pong:
		return fmt.Errorf("the opcode %d is reserved", op)
	case h.Masked:
		return errors.New("a server's frame has a mask")
	case op >= Close && !h.Fin():
		return errors.New("a fragmented control frame")
	case op >= Close && h.Length > 125:
		return errors.New("a control frame of more than 125 bytes")
	case op == Continuation && !open:
		return errors.New("a continuation frame without a message")
	case data && open:
		return errors.New("a new message inside another")
	case h.Length > 1<<63-1:
		return errors.New("the length of a frame has its top bit set")
	}
	return nil
}

// ParseClose returns the code and the reason in the payload of a close frame (RFC 6455,
// section 5.5.1). An empty payload has the code 1005. The error describes what the RFC
// forbids.
func ParseClose(p []byte) (code int, reason []byte, err error) {
	switch len(p) {
	case 0:
		return int(websocket.StatusNoStatusRcvd), nil, nil
	case 1:
		return 0, nil, errors.New("a close frame of one byte")
	}
	code, reason = int(binary.BigEndian.Uint16(p)), p[2:]
	switch {
	case !LegalCode(websocket.StatusCode(code)):
		return 0, nil, fmt.Errorf("a close frame with the code %d, which must not be sent", code)
	case !utf8.Valid(reason):
		return 0, nil, errors.New("a close reason that is not UTF-8")
	}
	return code, reason, nil
}
