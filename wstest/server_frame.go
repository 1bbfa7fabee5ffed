package wstest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"example.com/wsecho/internal/frame"
)

// frame answers a frame of the client.
func (c *serverConn) frame(f Frame) {
	if c.active.Err() != nil {
		if f.Opcode == Close && !c.dropped {
			c.write(Close, f.Payload) // if the close frame of the server has not been sent yet
			c.FIN()
		}
		return
	}
	if code, rule := c.check(f); rule != "" {
		c.violation(code, rule)
		return
	}
	switch f.Opcode {
	case Ping:
		c.report.Pings++
		c.answerPing(f.Payload)
	case Pong:
		c.report.Pongs++
	case Close:
		if c.beginEnd(false) {
			c.write(Close, f.Payload)
			c.FIN()
		}
	default:
		if f.Opcode != Continuation {
			c.opcode = f.Opcode
		}
		c.message = append(c.message, f.Payload...)
		if f.Fin {
			opcode, p := c.opcode, c.message
			c.opcode, c.message = 0, nil
			c.received(opcode, p)
		}
	}
}

// received answers a complete message.
func (c *serverConn) received(opcode byte, p []byte) {
	if opcode == Text && !utf8.Valid(p) {
		c.violation(1007, "a text message is not UTF-8")
		return
	}
	c.report.Messages++
	if c.queue == nil {
		c.echo(opcode, p)
		return
	}
	d := c.delay
	if c.jitter > 0 {
		d += time.Duration(rand.Int64N(2*int64(c.jitter)+1)) - c.jitter
	}
	if due := time.Now().Add(d); due.After(c.lastDue) {
		c.lastDue = due
	}
	if c.room.Acquire(c.active, sizeOf(p)) == nil {
		select {
		case c.queue <- delayed{c.lastDue, opcode, p}:
		case <-c.active.Done():
		}
	}
}

// delayed is a message that is echoed later.
type delayed struct {
	due    time.Time
	opcode byte
	data   []byte
}

// Bounds of the messages that wait.
const (
	maxDelayed      = 64
	maxDelayedBytes = 1 << 20
	maxLatePongs    = 64
)

// sizeOf is the size of a message in the queue. A message over maxDelayedBytes waits alone.
func sizeOf(p []byte) int64 { return int64(min(len(p), maxDelayedBytes)) }

func (c *serverConn) echoDelayed() {
	for {
		select {
		case m := <-c.queue:
			if !c.sleep(time.Until(m.due)) {
				return
			}
			c.echo(m.opcode, m.data)
			c.room.Release(sizeOf(m.data))
		case <-c.active.Done():
			return
		}
	}
}

// echo sends a message back, and does what happens after it.
func (c *serverConn) echo(opcode byte, p []byte) {
	if c.write(opcode, p) != nil {
		return
	}
	c.report.Echoed++
	for _, e := range c.events {
		if e.after == c.report.Echoed {
			c.act(e)
		}
	}
}

func (c *serverConn) answerPing(payload []byte) {
	switch c.pong {
	case pongCount:
		if c.pongs == 0 {
			return
		}
		c.pongs--
	case pongLate:
		if c.latePongs.Load() == maxLatePongs {
			return
		}
		c.latePongs.Add(1)
		c.goroutines.Go(func() {
			defer c.latePongs.Add(-1)
			if c.sleep(c.late) {
				c.write(Pong, payload)
			}
		})
		return
	case pongOther:
		payload = otherPayload(payload)
	}
	c.write(Pong, payload)
}

// otherPayload returns a payload that differs from that of the ping.
func otherPayload(ping []byte) []byte {
	if len(ping) == 0 {
		return []byte("other")
	}
	p := bytes.Clone(ping)
	p[0] ^= 1
	return p
}

// check returns the rule of RFC 6455 that a frame breaks, and the close code for it.
func (c *serverConn) check(f Frame) (code uint16, rule string) {
	control := f.Opcode >= Close
	switch {
	case !f.Masked:
		return 1002, "a frame of a client is not masked"
	case f.Rsv != 0:
		return 1002, "a frame has a reserved bit, and no extension was agreed on"
	case f.Opcode > Pong, f.Opcode > Binary && !control:
		return 1002, fmt.Sprintf("a frame has the reserved opcode %#x", f.Opcode)
	case control && !f.Fin:
		return 1002, "a control frame is a fragment"
	case control && len(f.Payload) > 125:
		return 1002, "a control frame is longer than 125 bytes"
	case f.Opcode == Close:
		_, _, err := frame.ParseClose(f.Payload)
		switch {
		case err == nil:
		case len(f.Payload) > 2 && !utf8.Valid(f.Payload[2:]):
			return 1007, err.Error()
		default:
			return 1002, err.Error()
		}
	case control:
	case f.Opcode == Continuation && c.opcode == 0:
		return 1002, "a continuation frame is outside of a message"
	case f.Opcode != Continuation && c.opcode != 0:
		return 1002, "a message begins inside another one"
	case len(c.message)+len(f.Payload) > maxMessage:
		return 1009, errTooBig.Error()
	}
	return 0, ""
}

// violation ends the connection for a rule that the client has broken.
func (c *serverConn) violation(code uint16, rule string) {
	if c.beginEnd(false) {
		c.report.Violation = rule
		c.write(Close, CloseBody(code, rule))
		c.FIN()
	}
}
