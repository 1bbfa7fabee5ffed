// Package client keeps idle connections to a server open, and opens and closes connections
// repeatedly. Package load measures echoes.
package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/handshake"
)

// A Conn is one connection to an echo server.
type Conn struct {
	net.Conn
	in    *bufio.Reader
	bytes bool // the server echoes bytes, without WebSocket
}

// Dial connects to a ws, wss or tcp URL. A tcp server echoes bytes. Dial trusts every
// certificate.
func Dial(ctx context.Context, url string) (*Conn, error) {
	var d net.Dialer
	if addr, ok := strings.CutPrefix(url, "tcp://"); ok {
		tcp, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return &Conn{Conn: tcp, bytes: true}, nil
	}
	u, err := handshake.ParseURL(url)
	if err != nil {
		return nil, err
	}
	c := new(Conn)
	if c.Conn, err = d.DialContext(ctx, "tcp", handshake.Address(u)); err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	if u.Scheme == "wss" {
		c.Conn = tls.Client(c.Conn, handshake.TLSConfig(&tls.Config{InsecureSkipVerify: true}, u))
	}
	if c.in, _, err = handshake.Open(c.Conn, handshake.Offer{URL: u, UserAgent: "wsecho-bench"}, deadline); err != nil {
		c.Close()
		return nil, err
	}
	return c, c.SetDeadline(time.Time{})
}

// send sends a frame with the mask key 0, which does not change the payload.
func (c *Conn) send(opcode byte, payload []byte) error {
	_, err := c.Write(frame.AppendMasked(nil, frame.Fin|opcode, [4]byte{}, payload))
	return err
}

// ErrWrong is the error for an echo that differs from its message.
var ErrWrong = errors.New("the echo differs from the message")

// Echo sends a text and waits for its echo, in one frame or in fragments. It answers
// pings.
func (c *Conn) Echo(text string) error {
	if err := c.send(frame.Text, []byte(text)); err != nil {
		return err
	}
	if c.bytes {
		want := frame.AppendMasked(nil, frame.Fin|frame.Text, [4]byte{}, []byte(text))
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || bytes.Equal(got, want) {
			return err
		}
		return ErrWrong
	}
	var message []byte
	for open := false; ; {
		h, payload, err := c.next(open, uint64(len(text)-len(message)))
		if err != nil {
			return err
		}
		if h.Opcode() > frame.Text {
			return fmt.Errorf("%w: a frame with opcode %d and %.100q", ErrWrong, h.Opcode(), payload)
		}
		message = append(message, payload...)
		if open = !h.Fin(); open {
			continue
		}
		if string(message) != text {
			return fmt.Errorf("%w: %.100q", ErrWrong, message)
		}
		return nil
	}
}

// next answers pings, and returns the next frame of another kind. open reports whether a
// message is unfinished. A data frame may have at most most bytes.
func (c *Conn) next(open bool, most uint64) (h frame.Header, payload []byte, err error) {
	for {
		if h, err = frame.ReadHeader(c.in); err != nil {
			return h, nil, err
		}
		if err := h.CheckServer(open, false); err != nil {
			return h, nil, fmt.Errorf("%w: %w", ErrWrong, err)
		}
		if h.Opcode() < frame.Close && h.Length > most {
			return h, nil, fmt.Errorf("%w: a frame of %d bytes", ErrWrong, h.Length)
		}
		payload = make([]byte, h.Length)
		if _, err := io.ReadFull(c.in, payload); err != nil || h.Opcode() != frame.Ping {
			return h, payload, err
		}
		if err := c.send(frame.Pong, payload); err != nil {
			return h, nil, err
		}
	}
}

// answerPings answers pings until t. It returns their number.
func (c *Conn) answerPings(t time.Time) (pings int, err error) {
	_ = c.SetReadDeadline(t)
	defer c.SetReadDeadline(time.Time{})
	if c.bytes {
		if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
			return 0, fmt.Errorf("the server sent bytes, or ended: %w", err)
		}
		return 0, nil
	}
	for ; ; pings++ {
		h, err := frame.ReadHeader(c.in)
		if isTimeout(err) {
			return pings, nil
		}
		if err != nil {
			return pings, err
		}
		if h.Opcode() != frame.Ping || h.Length > 125 {
			return pings, fmt.Errorf("the server sent a frame that is not a ping: opcode %d, %d bytes", h.Opcode(), h.Length)
		}
		payload := make([]byte, h.Length)
		_ = c.SetReadDeadline(t.Add(time.Minute)) // for the rest of a ping
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return pings, err
		}
		_ = c.SetReadDeadline(t)
		if err := c.send(frame.Pong, payload); err != nil {
			return pings, err
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// ErrNoClose is the error of Visit if the server has not answered the close frame.
var ErrNoClose = errors.New("no answer to a close frame")

// Visit connects, echoes a text and performs the closing handshake, within d.
func Visit(ctx context.Context, url, text string, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	c, err := Dial(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(d))
	if err := c.Echo(text); err != nil {
		return err
	}
	if err := c.send(frame.Close, []byte{1000 >> 8, 1000 & 0xff}); err != nil {
		return err
	}
	switch h, _, err := c.next(false, 125); {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNoClose, err)
	case h.Opcode() != frame.Close:
		return fmt.Errorf("a frame with opcode %d answered a close frame", h.Opcode())
	}
	// The server must close TCP first (RFC 6455, section 7.1.1), so that it keeps the
	// TIME_WAIT state.
	_, _ = io.Copy(io.Discard, c.in)
	return nil
}
