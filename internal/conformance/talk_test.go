package conformance_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"example.com/wsecho/wstest"
)

// A talk is one connection as the client sees it. It puts messages together and
// finds fault with every frame that a server must not send.
type talk struct {
	*wstest.Peer
	codec *codec // what was negotiated; nil: no compression

	heard   []wstest.Frame // whole messages and pongs, in order
	message *wstest.Frame  // begun; nil: none
	closed  bool           // the server's close frame has come
}

// open makes the opening handshake, and takes what compression it has brought.
func open(url string, o wstest.DialOptions) (*talk, error) {
	o.Timeout = soon
	p, err := wstest.Dial(url, o)
	if err != nil {
		return nil, err
	}
	t := &talk{Peer: p}
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

// next reads one frame and takes it. The error is the stream's, or tells what
// the server has done wrong.
func (t *talk) next() error {
	f, err := t.Recv()
	if err != nil {
		return err
	}
	control := f.Opcode >= wstest.Close
	switch {
	case t.closed:
		return fmt.Errorf("after its close frame the server sent %v", f)
	case f.Masked:
		return fmt.Errorf("the server has masked %v", f)
	case f.Rsv != 0 && (f.Rsv != wstest.RSV1 || t.codec == nil || f.Opcode != wstest.Text && f.Opcode != wstest.Binary):
		return fmt.Errorf("the server sent %v", f)
	case control && (!f.Fin || len(f.Payload) > 125):
		return fmt.Errorf("the server sent %v", f)
	case !control && (f.Opcode == wstest.Continuation) != (t.message != nil):
		return fmt.Errorf("the server sent %v out of order", f)
	case f.Opcode == wstest.Close:
		t.closed = true
		return nil
	case f.Opcode == wstest.Ping: // its heartbeat, which lives on what it hears
		return nil
	case control:
		t.heard = append(t.heard, f)
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
	t.heard = append(t.heard, m)
	return nil
}

// hear reads until it has n replies more, or a close frame has come.
func (t *talk) hear(n int) error {
	for n += len(t.heard); len(t.heard) < n && !t.closed; {
		if err := t.next(); err != nil {
			return err
		}
	}
	return nil
}

// finish reads to the end of the stream: at most n replies, a close frame with
// this code, then FIN, and nothing in between.
func (t *talk) finish(n int, code uint16) error {
	for !t.closed && len(t.heard) <= n {
		if err := t.next(); err != nil {
			return fmt.Errorf("waiting for the close frame: %w", err)
		}
	}
	if len(t.heard) > n {
		return nil // compare says what is too much; the rest need not be awaited
	}
	e, err := t.End(soon)
	switch {
	case err != nil:
		return fmt.Errorf("after the close frame: %w", err)
	case e.Code != code || !e.FIN || e.Frames > 0:
		return fmt.Errorf("got %v, want close frame %d, FIN, and nothing in between", e, code)
	case t.message != nil:
		return fmt.Errorf("the close frame came inside %v", t.message)
	}
	return nil
}

// compare says how what was heard is not want.
func (t *talk) compare(want []wstest.Frame) error {
	same := len(t.heard) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = t.heard[i].Opcode == want[i].Opcode && bytes.Equal(t.heard[i].Payload, want[i].Payload)
	}
	if !same {
		return fmt.Errorf("got %v, want %v", t.heard, want)
	}
	return nil
}

// A step is what a client does next.
type step func(*talk) error

// unsent is the error of a write. One that has been refused may meet it.
type unsent struct{ error }

// An exchange is a row of a table: what is said, what comes back, and the close
// code that ends it. Code 0 is that nothing is wrong: the client says 1000 then,
// once it has all the replies, and hears it.
type exchange struct {
	name string
	say  []step
	want []wstest.Frame
	code uint16
}

// with has the exchange on a connection of its own.
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

func (e exchange) on(t *talk) error {
	if len(e.say) == 0 {
		return errors.New("the exchange says nothing")
	}
	for _, s := range e.say {
		if err := s(t); err != nil && (e.code == 0 || !errors.As(err, new(unsent))) {
			return err
		}
	}
	code := e.code
	if code == 0 {
		if err := t.hear(len(e.want) - len(t.heard)); err != nil {
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

// quietTime is long enough for an answer on loopback, mostly.
const quietTime = 50 * time.Millisecond

// key masks the frames of these tables.
var key = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// wire is how a client sends the frames.
func wire(frames ...wstest.Frame) []byte {
	var b []byte
	for _, f := range frames {
		if !f.Masked {
			f = f.WithKey(key)
		}
		b = f.Append(b)
	}
	return b
}

// raw sends bytes in one write.
func raw(b []byte) step {
	return func(t *talk) error {
		if err := t.SendRaw(b); err != nil {
			return unsent{err}
		}
		return nil
	}
}

// together sends frames in one write.
func together(frames ...wstest.Frame) step { return raw(wire(frames...)) }

// apart sends each frame in a write of its own.
func apart(frames ...wstest.Frame) step {
	return func(t *talk) error {
		for _, f := range frames {
			if err := together(f)(t); err != nil {
				return err
			}
		}
		return nil
	}
}

// chopped sends frames in writes of n bytes.
func chopped(n int, frames ...wstest.Frame) step {
	return func(t *talk) error {
		for b := wire(frames...); len(b) > 0; {
			chunk := b[:min(n, len(b))]
			b = b[len(chunk):]
			if err := raw(chunk)(t); err != nil {
				return err
			}
		}
		return nil
	}
}

// hearing waits for n replies more, before anything else is said.
func hearing(n int) step {
	return func(t *talk) error {
		if err := t.hear(n); err != nil {
			return err
		}
		if t.closed {
			return errors.New("the server has closed too early")
		}
		return nil
	}
}

// closing waits for the server's close frame, before anything else is said.
func closing(t *talk) error {
	for !t.closed {
		if err := t.next(); err != nil {
			return fmt.Errorf("not closed at once: %w", err)
		}
	}
	return nil
}

// quiet sees that nothing comes for a moment, in the middle of a frame, where a
// ping could not ask.
func quiet(t *talk) error {
	t.Timeout = quietTime
	err := t.hear(1)
	t.Timeout = soon
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case err != nil:
		return err
	case t.closed:
		return errors.New("the server has closed too early")
	}
	return fmt.Errorf("got %v, want nothing yet", t.heard[len(t.heard)-1])
}

// text and binary are messages of one frame; ping and pong are control frames.
func text(s string) wstest.Frame   { return wstest.TextFrame(s) }
func binary(s string) wstest.Frame { return wstest.BinaryFrame([]byte(s)) }
func ping(s string) wstest.Frame   { return wstest.PingFrame(s) }
func pong(s string) wstest.Frame   { return wstest.PongFrame(s) }

// more and last are fragments that go on with a message.
func more(s string) wstest.Frame { return wstest.Frame{Payload: []byte(s)} }
func last(s string) wstest.Frame { return wstest.Frame{Fin: true, Payload: []byte(s)} }

// data is a message or its first frame, of this opcode.
func data(opcode byte, s string) wstest.Frame {
	return wstest.Frame{Fin: true, Opcode: opcode, Payload: []byte(s)}
}

// cut is a message in fragments, cut at these places.
func cut(opcode byte, s string, at ...int) []wstest.Frame {
	var parts []string
	from := 0
	for _, to := range append(at, len(s)) {
		parts = append(parts, s[from:to])
		from = to
	}
	return wstest.Fragments(opcode, parts...)
}

// pieces is a message in fragments of n bytes, the last of what is left.
func pieces(opcode byte, s string, n int) []wstest.Frame {
	var at []int
	for i := n; i < len(s); i += n {
		at = append(at, i)
	}
	return cut(opcode, s, at...)
}

// repeat is a pattern over n bytes, and stars is a text of n.
func repeat(pattern string, n int) string { return strings.Repeat(pattern, n/len(pattern)+1)[:n] }
func stars(n int) string                  { return strings.Repeat("*", n) }
