package wstest

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"time"

	"example.com/wsecho/internal/socket"
)

// write sends a message or a control frame, in fragments and at the rate of the plan. When
// the connection has begun to end, only a close frame is sent. The error means that
// nothing more can be sent.
func (c *serverConn) write(opcode byte, payload []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.broken || c.sentClose || c.active.Err() != nil && opcode != Close {
		return net.ErrClosed
	}
	c.sentClose = opcode == Close
	size := len(payload)
	if c.fragment > 0 && opcode < Close {
		size = c.fragment
	}
	var b []byte
	for first := true; first || len(payload) > 0; first = false {
		n := min(size, len(payload))
		f := Frame{Fin: n == len(payload), Opcode: opcode, Payload: payload[:n]}
		if !first {
			f.Opcode = Continuation
		}
		if c.mask {
			f.Masked = true
			rand.Read(f.Key[:])
		}
		b, payload = f.Append(b), payload[n:]
		if len(b) >= 16<<10 || len(payload) == 0 {
			if err := c.flush(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	return nil
}

// insert writes bytes between two frames.
func (c *serverConn) insert(b []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.broken && c.active.Err() == nil {
		c.flush(b)
	}
}

// flush writes b at the rate. Peer.writing is held. The deadline is that of beginEnd.
func (c *serverConn) flush(b []byte) error {
	for len(b) > 0 {
		n := len(b)
		if c.writeRate > 0 {
			n = chunk(n, c.writeRate)
		}
		if _, err := c.conn.Write(b[:n]); err != nil {
			c.broken = true
			return err
		}
		b = b[n:]
		if c.writeRate > 0 && !sleep(c.ctx, timeFor(n, c.writeRate)) {
			c.broken = true
			return net.ErrClosed
		}
	}
	return nil
}

// chunk returns the size of a read or write at a rate: that of 50 ms.
func chunk(n, rate int) int { return min(n, max(1, rate/20)) }

// timeFor returns the time that n bytes take at a rate.
func timeFor(n, rate int) time.Duration {
	return time.Duration(float64(n) / float64(rate) * float64(time.Second))
}

// shrinkBuffers makes the buffers of the socket small if the plan reads or writes slowly.
// Else the kernel would read megabytes in place of the server.
func (c *serverConn) shrinkBuffers() {
	const small = 4 << 10
	if s, ok := c.wire.Conn.(interface{ SetReadBuffer(int) error }); ok && (c.stall || c.readRate > 0) {
		_ = s.SetReadBuffer(small)
	}
	if s, ok := c.wire.Conn.(interface{ SetWriteBuffer(int) error }); ok && c.writeRate > 0 {
		_ = s.SetWriteBuffer(small)
	}
}

// paceReads makes c read at the rate.
func (c *serverConn) paceReads() {
	buffered, _ := c.br.Peek(c.br.Buffered())
	c.br.Reset(io.MultiReader(bytes.NewReader(bytes.Clone(buffered)), pacedReader{c}))
}

type pacedReader struct{ c *serverConn }

func (r pacedReader) Read(b []byte) (int, error) {
	if r.c.active.Err() != nil {
		return r.c.conn.Read(b)
	}
	n, err := r.c.conn.Read(b[:chunk(len(b), r.c.readRate)])
	if n > 0 {
		r.c.sleep(timeFor(n, r.c.readRate))
	}
	return n, err
}

// stallCheck is how often a stalled connection checks whether the client has ended.
const stallCheck = 100 * time.Millisecond

// awaitInputEnd waits until the client has ended its stream, without a read, or until the
// connection begins to end.
func (c *serverConn) awaitInputEnd() {
	if p, ok := c.wire.Conn.(*pipe); ok {
		select {
		case <-p.inputEnded():
		case <-c.active.Done():
		}
		return
	}
	for !socket.Ended(c.wire.Conn) && c.sleep(stallCheck) {
	}
}
