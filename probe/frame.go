package probe

import (
	"crypto/rand"
	"errors"
	"io"

	"example.com/wsecho/internal/frame"
)

// maxKept is the length of the part of a message that is compared or shown.
const maxKept = 4 << 10

// A message is a whole message, its first fragments, or a control frame.
type message struct {
	opcode byte
	open   bool   // a continuation follows
	bytes  []byte // the first maxKept bytes
	length uint64
	text   frame.TextCheck
}

// Write checks a part of the payload.
func (m *message) Write(p []byte) (int, error) {
	if m.opcode == frame.Text && !m.text.Next(p) {
		return 0, violation(errBadText)
	}
	return len(p), nil
}

var errBadText = errors.New("a text message is not UTF-8")

// A budget bounds the frames and the bytes of messages before the echo.
type budget struct {
	frames int
	bytes  uint64
}

// normalClosure is the payload of a close frame with the code 1000.
var normalClosure = []byte{1000 >> 8, 1000 & 0xff}

// write sends a frame with a payload of at most 125 bytes.
func (c *conn) write(opcode byte, payload []byte) error {
	var key [4]byte
	rand.Read(key[:])
	c.closing = c.closing || opcode == frame.Close
	_, err := c.Write(frame.AppendMasked(nil, frame.Fin|opcode, key, payload))
	return err
}

// next reads a whole message or a control frame. It answers pings.
func (c *conn) next() (message, error) {
	for {
		m, err := c.frame()
		switch {
		case err != nil:
			return message{}, err
		case m.opcode == frame.Ping && !c.closing:
			if err := c.write(frame.Pong, m.bytes); err != nil {
				return message{}, err
			}
		case !m.open:
			return m, nil
		}
	}
}

// frame reads one frame. It returns a control frame, or the message so far.
func (c *conn) frame() (message, error) {
	h, err := frame.ReadHeader(c.br)
	if err != nil {
		return message{}, err
	}
	if err := h.CheckServer(c.message.open, false); err != nil {
		return message{}, violation(err)
	}
	if !h.Shortest() {
		return message{}, violation(errors.New("the length of a frame takes more bytes than it needs"))
	}
	if c.budget != nil {
		if c.budget.frames--; c.budget.frames < 0 {
			return message{}, faultf("%d frames came, and the echo was not among them", maxFrames)
		}
	}
	if h.Opcode() >= frame.Close {
		m := message{opcode: h.Opcode(), length: h.Length, bytes: make([]byte, h.Length)}
		_, err := io.ReadFull(c.br, m.bytes)
		return m, err
	}
	if c.budget != nil {
		if h.Length > c.budget.bytes {
			return message{}, faultf("more than %d bytes of other messages came", maxBytes)
		}
		c.budget.bytes -= h.Length
	}
	m := &c.message
	if h.Opcode() != frame.Continuation {
		*m = message{opcode: h.Opcode()}
	}
	m.open = !h.Fin()
	m.length += h.Length
	part := make([]byte, min(h.Length, maxKept-uint64(len(m.bytes))))
	if _, err := io.ReadFull(c.br, part); err != nil {
		return message{}, err
	}
	m.bytes = append(m.bytes, part...)
	if _, err := m.Write(part); err != nil {
		return message{}, err
	}
	if _, err = io.CopyN(m, c.br, int64(h.Length)-int64(len(part))); err == nil && !m.open && !m.text.Whole() {
		err = violation(errBadText)
	}
	return *m, err
}

func violation(err error) error { return fault{"it broke the protocol: " + err.Error(), err} }
