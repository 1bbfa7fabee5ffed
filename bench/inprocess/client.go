package inprocess

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/url"
	"time"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/handshake"
)

// stepTimeout bounds each step of a server.
const stepTimeout = 10 * time.Second

// A client sends one message repeatedly and compares each echo with it. It does not
// allocate per message.
type client struct {
	net.Conn
	in    *bufio.Reader
	frame []byte // the message on the wire
	want  []byte // the payload
	first byte   // FIN and the opcode
	raw   bool   // the server echoes bytes, without WebSocket
}

// dial connects to a server. It performs the opening handshake unless raw is set.
func dial(l *listener, opcode byte, payload []byte, raw bool) (c *client, err error) {
	conn, err := l.dial(stepTimeout)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, conn.Close())
		}
	}()
	first := frame.Fin | opcode
	c = &client{Conn: conn, frame: frame.AppendMasked(nil, first, [4]byte{0x37, 0xfa, 0x21, 0x3d}, payload), want: payload, first: first, raw: raw}
	if err := c.extendDeadline(); err != nil {
		return nil, err
	}
	if raw {
		c.in = bufio.NewReaderSize(conn, bufferSize)
		return c, nil
	}
	opened, _, err := handshake.Open(conn, handshake.Offer{URL: &url.URL{Scheme: "ws", Host: "localhost", Path: "/"}}, time.Time{})
	if err != nil {
		return nil, err
	}
	c.in = bufio.NewReaderSize(opened, bufferSize)
	return c, nil
}

// bufferSize is the size of the client's read buffer.
const bufferSize = 64 << 10

// extendDeadline lets the next steps take stepTimeout.
func (c *client) extendDeadline() error { return c.SetDeadline(time.Now().Add(stepTimeout)) }

func (c *client) send() error {
	_, err := c.Write(c.frame)
	return err
}

var (
	errWrong = errors.New("the echo differs from the message")
	errFrame = errors.New("the server sent a frame that is not a part of the echo")
)

// receive reads one message, in one frame or in fragments.
func (c *client) receive() error {
	if c.raw {
		return c.compare(c.frame)
	}
	first := c.first
	for left := c.want; ; first = frame.Fin | frame.Continuation {
		h, err := frame.ReadHeader(c.in)
		switch {
		case err != nil:
			return err
		case h.First|frame.Fin != first || h.Masked:
			return errFrame
		case h.Length > uint64(len(left)), h.Fin() && h.Length < uint64(len(left)):
			return errWrong
		}
		if err := c.compare(left[:h.Length]); err != nil || h.Fin() {
			return err
		}
		left = left[h.Length:]
	}
}

// compare reads as many bytes as want has and compares them.
func (c *client) compare(want []byte) error {
	for len(want) > 0 {
		b, err := c.in.Peek(min(len(want), max(c.in.Buffered(), 1)))
		if err != nil {
			return err
		}
		if !bytes.Equal(b, want[:len(b)]) {
			return errWrong
		}
		if _, err := c.in.Discard(len(b)); err != nil {
			return err
		}
		want = want[len(b):]
	}
	return nil
}
