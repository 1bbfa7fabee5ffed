package probe

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// A written is a connection that records all writes. Reads return io.EOF.
type written struct {
	net.Conn
	bytes.Buffer
}

func (w *written) Write(b []byte) (int, error) { return w.Buffer.Write(b) }
func (w *written) Read([]byte) (int, error)    { return 0, io.EOF }

// FuzzFrames checks that the probe keeps a bounded part of each message. Any input ends
// with a fault or with the end of the stream. The only output is whole, masked pongs.
func FuzzFrames(f *testing.F) {
	f.Add(wstest.TextFrame("hello").Append(nil), true)
	f.Add(wstest.PingFrame("?").Append(wstest.TextFrame("a").Open().Append(nil)), true)
	f.Add(wstest.CloseFrame(1000, "bye").Append(nil), false)
	f.Add(wstest.BinaryFrame(make([]byte, 70_000)).Append(nil), false)
	f.Add(wstest.Header(0x81, false, [4]byte{}, 1<<62, 64), false)
	f.Fuzz(func(t *testing.T, in []byte, bounded bool) {
		w := new(written)
		c := &conn{Conn: w, br: bufio.NewReader(bytes.NewReader(in))}
		if bounded {
			c.budget = &budget{frames: 10, bytes: 1000}
		}
		for {
			m, err := c.next()
			if err != nil {
				if !errors.As(err, new(fault)) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("it ended with %v", err)
				}
				break
			}
			if len(m.bytes) > maxKept || m.length < uint64(len(m.bytes)) || m.open {
				t.Errorf("%d bytes of %d, open: %v", len(m.bytes), m.length, m.open)
			}
			if m.opcode == frame.Close {
				code, reason, err := frame.ParseClose(m.bytes)
				if err == nil && (code < 1000 || code > 4999 || len(reason) > 123) {
					t.Errorf("the code %d and a reason of %d bytes", code, len(reason))
				}
			}
		}
		for out := w.Bytes(); len(out) > 0; {
			f, rest, err := wstest.Decode(out)
			if err != nil || f.Opcode != wstest.Pong || !f.Masked || !f.Fin {
				t.Fatalf("%v was written, %v", f, err)
			}
			out = rest
		}
	})
}
