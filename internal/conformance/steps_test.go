package conformance_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"example.com/wsecho/wstest"
)

// A step is one action of a client.
type step func(*clientConn) error

// writeError is the error of a write. An exchange that the server refuses may cause it.
type writeError struct{ error }

// quietTime is usually long enough for an answer on loopback.
const quietTime = 50 * time.Millisecond

// key masks the frames of these tables.
var key = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// wire returns the masked bytes of the frames.
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
	return func(t *clientConn) error {
		if err := t.SendRaw(b); err != nil {
			return writeError{err}
		}
		return nil
	}
}

// together sends frames in one write.
func together(frames ...wstest.Frame) step { return raw(wire(frames...)) }

// apart sends each frame in a separate write.
func apart(frames ...wstest.Frame) step {
	return func(t *clientConn) error {
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
	return func(t *clientConn) error {
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

// awaitReplies waits for n more replies before the next step.
func awaitReplies(n int) step {
	return func(t *clientConn) error {
		if err := t.receive(n); err != nil {
			return err
		}
		if t.closed {
			return errors.New("the server closed too early")
		}
		return nil
	}
}

// closing waits for the server's close frame before the next step.
func closing(t *clientConn) error {
	for !t.closed {
		if err := t.next(); err != nil {
			return fmt.Errorf("waiting for the close frame: %w", err)
		}
	}
	return nil
}

// silent checks that the server sends nothing for quietTime. It is for the middle of a
// frame, where a ping is impossible.
func silent(t *clientConn) error {
	t.Timeout = quietTime
	err := t.receive(1)
	t.Timeout = soon
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case err != nil:
		return err
	case t.closed:
		return errors.New("the server closed too early")
	}
	return fmt.Errorf("got %v, want no reply yet", t.received[len(t.received)-1])
}

// text and binary return messages of one frame. ping and pong return control frames.
func text(s string) wstest.Frame   { return wstest.TextFrame(s) }
func binary(s string) wstest.Frame { return wstest.BinaryFrame([]byte(s)) }
func ping(s string) wstest.Frame   { return wstest.PingFrame(s) }
func pong(s string) wstest.Frame   { return wstest.PongFrame(s) }

// more and last return continuation frames, without and with FIN.
func more(s string) wstest.Frame { return wstest.Frame{Payload: []byte(s)} }
func last(s string) wstest.Frame { return wstest.Frame{Fin: true, Payload: []byte(s)} }

// data returns a message of one frame with this opcode.
func data(opcode byte, s string) wstest.Frame {
	return wstest.Frame{Fin: true, Opcode: opcode, Payload: []byte(s)}
}

// cut returns a message in fragments, cut at these offsets.
func cut(opcode byte, s string, at ...int) []wstest.Frame {
	var parts []string
	from := 0
	for _, to := range append(at, len(s)) {
		parts = append(parts, s[from:to])
		from = to
	}
	return wstest.Fragments(opcode, parts...)
}

// pieces returns a message in fragments of n bytes. The last may be shorter.
func pieces(opcode byte, s string, n int) []wstest.Frame {
	var at []int
	for i := n; i < len(s); i += n {
		at = append(at, i)
	}
	return cut(opcode, s, at...)
}

// repeat returns n bytes of a repeated pattern. stars returns a text of n bytes.
func repeat(pattern string, n int) string { return strings.Repeat(pattern, n/len(pattern)+1)[:n] }
func stars(n int) string                  { return strings.Repeat("*", n) }
