// Package client is a WebSocket client that costs as little as possible, so that
// what is measured is the server: it speaks raw frames over TCP, made once and
// sent again and again, and compares what comes back byte for byte with what has
// to come back.
package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// A Conn is one connection to an echo server.
type Conn struct {
	tcp  net.Conn
	back []byte
}

// Dial connects and does the opening handshake with addr, an IP and port. A raw
// echo has no handshake.
func Dial(ctx context.Context, addr string, raw bool) (*Conn, error) {
	var d net.Dialer
	return dial(ctx, d.DialContext, addr, raw)
}

// DialTLS is Dial over TLS. Whoever answers is believed.
func DialTLS(ctx context.Context, addr string) (*Conn, error) {
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}
	return dial(ctx, d.DialContext, addr, false)
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

func dial(ctx context.Context, by dialFunc, addr string, raw bool) (*Conn, error) {
	tcp, err := by(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &Conn{tcp: tcp}
	if raw {
		return c, nil
	}
	if err := c.handshake(ctx, addr); err != nil {
		tcp.Close()
		return nil, err
	}
	return c, nil
}

func (c *Conn) handshake(ctx context.Context, addr string) error {
	if t, ok := ctx.Deadline(); ok {
		_ = c.tcp.SetDeadline(t)
		defer c.tcp.SetDeadline(time.Time{})
	}
	_, err := fmt.Fprintf(c.tcp, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr)
	if err != nil {
		return err
	}
	// A server says nothing after the handshake before it is asked, so nothing is
	// lost in the bufio.Reader.
	resp, err := http.ReadResponse(bufio.NewReader(c.tcp), nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("handshake answered with %s", resp.Status)
	}
	return nil
}

// Close closes the connection without a goodbye.
func (c *Conn) Close() error { return c.tcp.Close() }

// A Batch is some equal messages that are sent in one write, and what has to
// come back.
type Batch struct {
	Messages int
	size     int // of each
	out, in  []byte
}

// NewBatch makes a batch of n messages of size bytes; raw is for a raw echo.
func NewBatch(n, size int, text, raw bool) *Batch {
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = 'a' + byte(i%26)
	}
	op := byte(2)
	if text {
		op = 1
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b := &Batch{Messages: n, size: size}
	for range n {
		b.in = append(header(b.in, op, 0, size), payload...)
		b.out = append(header(b.out, op, 0x80, size), key[:]...)
		for i, c := range payload {
			b.out = append(b.out, c^key[i&3])
		}
	}
	if raw {
		b.in = b.out
	}
	return b
}

func header(b []byte, op, mask byte, size int) []byte {
	b = append(b, 0x80|op)
	switch {
	case size <= 125:
		return append(b, mask|byte(size))
	case size <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, mask|126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(b, mask|127), uint64(size))
}

// ErrWrong is what came back where it was not what had been sent.
var ErrWrong = errors.New("the echo is not what was sent")

// Do sends b and waits until all of it has come back.
func (c *Conn) Do(b *Batch) error {
	if _, err := c.tcp.Write(b.out); err != nil {
		return err
	}
	if len(c.back) < len(b.in) {
		c.back = make([]byte, len(b.in))
	}
	back := c.back[:len(b.in)]
	if _, err := io.ReadFull(c.tcp, back); err != nil {
		return err
	}
	if bytes.Equal(back, b.in) {
		return nil
	}
	return c.frames(b, back)
}

// frames looks at what came back frame by frame: there may be pings among them, which
// it answers, and messages may come in fragments. It is not what is measured: a server
// pings seldom.
func (c *Conn) frames(b *Batch, back []byte) error {
	in := io.MultiReader(bytes.NewReader(bytes.Clone(back)), c.tcp)
	var message []byte // so far; nil between messages
	for n := 0; n < b.Messages; {
		first, payload, err := frame(in)
		if err != nil {
			return err
		}
		want := b.in[:len(b.in)/b.Messages]
		switch op := first & 0x0f; {
		case first == ping:
			if err := c.pong(payload); err != nil {
				return err
			}
			continue
		case first&0x70 != 0, op > 2, (op == 0) != (message != nil), op != 0 && op != want[0]&0x0f, len(message)+len(payload) > len(want):
			return fmt.Errorf("%w: a frame that begins with %#x and has %d bytes, %.100q", ErrWrong, first, len(payload), payload)
		}
		if message == nil {
			message = make([]byte, 0, len(want))
		}
		message = append(message, payload...)
		if first&0x80 == 0 {
			continue
		}
		if !bytes.Equal(message, want[len(want)-b.size:]) {
			return fmt.Errorf("%w: %.100q", ErrWrong, message)
		}
		message = nil
		n++
	}
	return nil
}

// frame reads one frame of a server.
func frame(in io.Reader) (first byte, payload []byte, err error) {
	var head [10]byte
	if _, err := io.ReadFull(in, head[:2]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(in, head[2:4])
		n = uint64(binary.BigEndian.Uint16(head[2:4]))
	case 127:
		_, err = io.ReadFull(in, head[2:10])
		n = binary.BigEndian.Uint64(head[2:10])
	}
	switch {
	case err != nil:
		return 0, nil, err
	case head[1] > 127 || n > 64<<20:
		return 0, nil, fmt.Errorf("%w: a frame that begins with % x", ErrWrong, head[:2])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(in, payload)
	return head[0], payload, err
}

const ping = 0x89 // the first byte of one

func (c *Conn) pong(payload []byte) error {
	_, err := c.tcp.Write(append([]byte{0x8a, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...))
	return err
}

// Attend waits until t and answers the pings that come meanwhile. It returns how
// many there were.
func (c *Conn) Attend(t time.Time) (pings int, err error) {
	_ = c.tcp.SetReadDeadline(t)
	defer c.tcp.SetReadDeadline(time.Time{})
	var f [2 + 125]byte
	for {
		if _, err := io.ReadFull(c.tcp, f[:2]); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				return pings, nil
			}
			return pings, err
		}
		n := int(f[1])
		if f[0] != ping || n > 125 {
			return pings, fmt.Errorf("a frame that is no ping came: % x", f[:2])
		}
		_ = c.tcp.SetReadDeadline(t.Add(time.Minute)) // a ping that has begun ends
		if _, err := io.ReadFull(c.tcp, f[2:2+n]); err != nil {
			return pings, err
		}
		_ = c.tcp.SetReadDeadline(t)
		if err := c.pong(f[2 : 2+n]); err != nil {
			return pings, err
		}
		pings++
	}
}

// Visit connects, has one message echoed, and says goodbye; all within d.
func Visit(ctx context.Context, addr string, b *Batch, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	c, err := Dial(ctx, addr, false)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.tcp.SetDeadline(time.Now().Add(d))
	if err := c.Do(b); err != nil {
		return err
	}
	// 1000, masked with a key of zeros.
	if _, err := c.tcp.Write([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}); err != nil {
		return err
	}
	in := bufio.NewReader(c.tcp)
	for {
		var head [2]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return fmt.Errorf("no answer to a close frame: %w", err)
		}
		if _, err := in.Discard(int(head[1] & 0x7f)); err != nil {
			return err
		}
		if head[0] == 0x88 {
			break
		}
		if head[0] != ping { // which may have been on its way
			return fmt.Errorf("a close frame was answered with % x", head)
		}
	}
	// Whoever closes first has to remember the connection for a minute, and that is
	// the server's part (RFC 6455, section 7.1.1). What it says or how it ends does
	// not matter any more.
	_, _ = io.Copy(io.Discard, in)
	return nil
}

// ProcessorTime is what this process has used, user and system.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail with these arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
