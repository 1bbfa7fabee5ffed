package conformance_test

import (
	"bytes"
	"errors"
	"fmt"

	"example.com/wsecho/wstest"
)

// A clientConn is the client's side of one connection. It assembles messages and reports every
// frame that a server must not send.
type clientConn struct {
	*wstest.Peer
	codec *codec // the negotiated compression; nil: none

	received []wstest.Frame // whole messages and pongs, in order
	message  *wstest.Frame  // an incomplete message; nil: none
	closed   bool           // the server's close frame was received
}

// open performs the opening handshake and sets up the negotiated compression.
func open(url string, o wstest.DialOptions) (*clientConn, error) {
	o.Timeout = soon
	p, err := wstest.Dial(url, o)
	if err != nil {
		return nil, err
	}
	t := &clientConn{Peer: p}
	if o.Extensions != "" {
		a, err := answered(p.Response.Header)
		if err == nil && a != nil {
			t.codec, err = newCodec(*a)
		}
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return t, nil
}

// next reads and processes one frame. The error is the stream's, or describes a
// violation by the server.
func (t *clientConn) next() error {
	f, err := t.Recv()
	if err != nil {
		return err
	}
	control := f.Opcode >= wstest.Close
	switch {
	case t.closed:
		return fmt.Errorf("the server sent %v after its close frame", f)
	case f.Masked:
		return fmt.Errorf("the server masked %v", f)
	case f.Rsv != 0 && (f.Rsv != wstest.RSV1 || t.codec == nil || f.Opcode != wstest.Text && f.Opcode != wstest.Binary):
		return fmt.Errorf("the server sent %v", f)
	case control && (!f.Fin || len(f.Payload) > 125):
		return fmt.Errorf("the server sent %v", f)
	case !control && (f.Opcode == wstest.Continuation) != (t.message != nil):
		return fmt.Errorf("the server sent %v out of order", f)
	case f.Opcode == wstest.Close:
		t.closed = true
		return nil
	case f.Opcode == wstest.Ping: // any data satisfies the server's heartbeat, so no pong is necessary
		return nil
	case control:
		t.received = append(t.received, f)
		return nil
	case t.message == nil:
		t.message = &f
	default:
		t.message.Payload = append(t.message.Payload, f.Payload...)
		t.message.Fin = f.Fin
	}
	if !t.message.Fin {
		return nil
	}
	m := *t.message
	t.message = nil
	if t.codec != nil {
		if m.Payload, err = t.codec.unpack(m); err != nil {
			return fmt.Errorf("inflating %v: %w", m, err)
		}
		m.Rsv = 0
	}
	t.received = append(t.received, m)
	return nil
}

// receive reads until it has n more replies or a close frame.
func (t *clientConn) receive(n int) error {
	for n += len(t.received); len(t.received) < n && !t.closed; {
		if err := t.next(); err != nil {
			return err
		}
	}
	return nil
}

// finish reads to the end of the stream. It requires at most n replies, a close frame
// with this code, then FIN, and nothing in between.
func (t *clientConn) finish(n int, code uint16) error {
	for !t.closed && len(t.received) <= n {
		if err := t.next(); err != nil {
			return fmt.Errorf("waiting for the close frame: %w", err)
		}
	}
	if len(t.received) > n {
		return nil // compare reports the surplus reply
	}
	e, err := t.End(soon)
	switch {
	case err != nil:
		return fmt.Errorf("after the close frame: %w", err)
	case e.Code != code || !e.FIN || e.Frames > 0:
		return fmt.Errorf("got %v, want close frame %d, FIN, and nothing in between", e, code)
	case t.message != nil:
		return fmt.Errorf("the close frame was inside %v", t.message)
	}
	return nil
}

// compare returns an error if the replies differ from want.
func (t *clientConn) compare(want []wstest.Frame) error {
	same := len(t.received) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = t.received[i].Opcode == want[i].Opcode && bytes.Equal(t.received[i].Payload, want[i].Payload)
	}
	if !same {
		return fmt.Errorf("got %v, want %v", t.received, want)
	}
	return nil
}

// An exchange is a row of a table: the client's steps, the replies, and the close code
// of the server. With code 0 there is no violation: the client sends 1000 after all
// replies, and the server answers with 1000.
type exchange struct {
	name  string
	steps []step
	want  []wstest.Frame
	code  uint16
}

// with runs the exchange on a new connection.
func (e exchange) with(url string, o wstest.DialOptions) error {
	t, err := open(url, o)
	if err == nil {
		err = e.on(t)
		_ = t.Close()
	}
	if err != nil && e.name != "" {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	return err
}

func (e exchange) on(t *clientConn) error {
	if len(e.steps) == 0 {
		return errors.New("the exchange has no steps")
	}
	for _, s := range e.steps {
		if err := s(t); err != nil && (e.code == 0 || !errors.As(err, new(writeError))) {
			return err
		}
	}
	code := e.code
	if code == 0 {
		if err := t.receive(len(e.want) - len(t.received)); err != nil {
			return fmt.Errorf("waiting for the reply: %w", err)
		}
		if !t.closed {
			if err := t.Send(wstest.CloseFrame(1000, "")); err != nil {
				return err
			}
		}
		code = 1000
	}
	return errors.Join(t.finish(len(e.want), code), t.compare(e.want))
}
