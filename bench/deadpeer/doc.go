// Package deadpeer finds out what a server makes of a client that is gone, and what
// its clients hear when the server itself is told to end.
package deadpeer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"example.com/wsecho/wstest"
)

// patience is how long a step may take that is not what is measured.
const patience = 5 * time.Second

// A client has had a message echoed.
type client struct {
	*wstest.Peer
	closed time.Time // when the close frame came
	said   string
}

func dial(ctx context.Context, addr string) (*client, error) {
	d := net.Dialer{Timeout: patience}
	p, err := wstest.Dial("ws://"+addr+"/", wstest.DialOptions{
		Timeout: patience,
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

// listen reads until the stream ends or ctx does, and says in a few words what
// came last. told is called with the close frame; nil is nothing.
func (c *client) listen(ctx context.Context, o wstest.AnswerOptions, told func()) (ended bool, err error) {
	o.Each = func(f wstest.Frame) {
		if f.Opcode != wstest.Close || !c.closed.IsZero() {
			return
		}
		c.closed = time.Now()
		switch code, reason := wstest.ParseClose(f.Payload); {
		case len(f.Payload) == 0:
			c.said = "closed with no code"
		case reason == "":
			c.said = fmt.Sprintf("closed with %d", code)
		default:
			c.said = fmt.Sprintf("closed with %d %q", code, reason)
		}
		if told != nil {
			told()
		}
	}
	e, err := c.Answer(ctx, o)
	switch {
	case err != nil && ctx.Err() == nil:
		return false, err
	case err != nil, c.said != "":
	case e.RST:
		c.said = "TCP reset without a close frame"
	default:
		c.said = "TCP closed without a close frame"
	}
	return err == nil, nil
}
