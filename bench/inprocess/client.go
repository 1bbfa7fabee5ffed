package inprocess

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"example.com/wsecho/wstest"
)

// patience is how long a server may take for anything.
const patience = 10 * time.Second

// A client sends one message again and again, and compares what comes back. It
// allocates nothing for that.
type client struct {
	net.Conn
	in    *bufio.Reader
	frame []byte // as it is sent
	want  []byte // what comes back, without headers
	first byte   // FIN and the opcode
	raw   bool   // the peer knows no frames, and sends back the very bytes
	head  [8]byte
}

// dial connects to a server and makes the opening handshake, unless it is raw.
func dial(l *listener, opcode byte, payload []byte, raw bool) (c *client, err error) {
	conn, err := l.dial(patience)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, conn.Close())
		}
	}()
	f := wstest.Frame{Fin: true, Opcode: opcode, Payload: payload}.WithKey([4]byte{0x37, 0xfa, 0x21, 0x3d})
	c = &client{Conn: conn, in: bufio.NewReaderSize(conn, 64<<10), frame: f.Append(nil), want: payload, first: 0x80 | opcode, raw: raw}
	if raw {
		return c, c.more()
	}
	if err := c.more(); err != nil {
		return nil, err
	}
	if _, err := conn.Write(wstest.Request("ws://localhost/", "", nil)); err != nil {
		return nil, err
	}
	// Not http.ReadResponse: what follows on the answer stays in the buffer.
	for n := 0; ; n++ {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("reading the answer to the handshake: %w", err)
		}
		if n == 0 && !strings.HasPrefix(line, "HTTP/1.1 101 ") {
			return nil, fmt.Errorf("the handshake was answered with %q", line)
		}
		if line == "\r\n" {
			return c, nil
		}
	}
}

// more gives the server its time again.
func (c *client) more() error { return c.SetDeadline(time.Now().Add(patience)) }

func (c *client) send() error {
	_, err := c.Write(c.frame)
	return err
}

var (
	errWrong = errors.New("what came back is not what was sent")
	errFrame = errors.New("a frame came that no server may send here")
)

// receive reads one message, in whatever frames it comes.
func (c *client) receive() error {
	if c.raw {
		return c.compare(c.frame)
	}
	first := c.first
	for left := c.want; ; first &= 0xf0 {
		h := c.head[:2]
		if _, err := io.ReadFull(c.in, h); err != nil {
			return err
		}
		fin := h[0]&0x80 != 0
		if h[0]|0x80 != first || h[1]&0x80 != 0 {
			return errFrame
		}
		n := uint64(h[1])
		switch n {
		case 126:
			if _, err := io.ReadFull(c.in, c.head[:2]); err != nil {
				return err
			}
			n = uint64(binary.BigEndian.Uint16(c.head[:]))
		case 127:
			if _, err := io.ReadFull(c.in, c.head[:8]); err != nil {
				return err
			}
			n = binary.BigEndian.Uint64(c.head[:])
		}
		if n > uint64(len(left)) {
			return errWrong
		}
		if err := c.compare(left[:n]); err != nil {
			return err
		}
		left = left[n:]
		if fin && len(left) > 0 {
			return errWrong
		}
		if fin {
			return nil
		}
	}
}

// compare reads what must be want.
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
