// Package deadpeer measures how soon a server notices a dead client, and how its
// connections end after SIGTERM.
package deadpeer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"example.com/wsecho/wstest"
)

// stepTimeout is the longest time that an unmeasured step may take.
const stepTimeout = 5 * time.Second

// A client is a connection that has echoed a message.
type client struct {
	*wstest.Peer
	closed time.Time // when the close frame arrived
	ending string    // how the connection ended
}

func dial(ctx context.Context, addr string) (*client, error) {
	d := net.Dialer{Timeout: stepTimeout}
	p, err := wstest.Dial("ws://"+addr+"/", wstest.DialOptions{
		Timeout: stepTimeout,
		Dial:    func(network, addr string) (net.Conn, error) { return d.DialContext(ctx, network, addr) },
	})
	if err != nil {
		return nil, err
	}
	const text = "still there?"
	if err = p.Send(wstest.TextFrame(text)); err == nil {
		var got []byte
		if _, got, err = p.RecvMessage(); err == nil && string(got) != text {
			err = fmt.Errorf("the echo is %q", got)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%q was not echoed: %w", text, err), p.RST())
	}
	return &client{Peer: p}, nil
}

// listen reads until the stream or ctx ends, and sets ending. When the close frame
// arrives, listen calls onClose if it is not nil.
func (c *client) listen(ctx context.Context, o wstest.AnswerOptions, onClose func()) (ended bool, err error) {
	o.Each = func(f wstest.Frame) {
		if f.Opcode != wstest.Close || !c.closed.IsZero() {
			return
		}
		c.closed = time.Now()
		switch code, reason := wstest.ParseClose(f.Payload); {
		case len(f.Payload) == 0:
			c.ending = "closed with no code"
		case reason == "":
			c.ending = fmt.Sprintf("closed with %d", code)
		default:
			c.ending = fmt.Sprintf("closed with %d %q", code, reason)
		}
		if onClose != nil {
			onClose()
		}
	}
	e, err := c.Answer(ctx, o)
	switch {
	case err != nil && ctx.Err() == nil:
		return false, err
	case err != nil, c.ending != "":
	case e.RST:
		c.ending = "TCP reset without a close frame"
	default:
		c.ending = "TCP closed without a close frame"
	}
	return err == nil, nil
}
