package load

import (
	"bytes"
	"fmt"

	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/handshake"
)

// An incoming compares the messages that a connection receives with those it sent.
type incoming struct {
	c       *conn
	buf     []byte
	partial int   // bytes at the start of buf: an incomplete header
	echoed  int64 // correctly echoed messages
	skip    int   // messages to ignore before the first one is sent

	frame struct {
		frame.Header
		open      bool   // a part of its payload has not arrived
		remaining uint64 // bytes of that part
	}
	control []byte // the payload of a control frame so far

	message struct {
		open       bool // a part of it has not arrived
		compressed bool
		skipped    bool
		wire       int // bytes of payload that arrived
		size       int // bytes that arrived, after decompression; all were right
	}
	inflate deflate.Decompressor
	plain   []byte // the output of inflate
}

func (in *incoming) init(c *conn, size int) {
	in.c = c
	in.buf = make([]byte, max(size, len(c.buffered)))
	in.skip = c.owner.plan.SkipGreeting
	in.inflate.Takeover = c.takeover
}

// read reads once and checks the bytes. The error is a fault, or that of the read.
func (in *incoming) read() error {
	var n int
	var err error
	if len(in.c.buffered) > 0 {
		n, in.c.buffered = copy(in.buf, in.c.buffered), nil
	} else {
		n, err = in.c.Read(in.buf[in.partial:])
	}
	if n > 0 {
		rest, fault := in.check(in.buf[:in.partial+n])
		if fault != nil {
			return fault
		}
		in.partial = copy(in.buf, rest)
	}
	return err
}

// check checks b. It returns the incomplete header at the end of b.
func (in *incoming) check(b []byte) ([]byte, error) {
	for {
		if !in.frame.open && !in.message.open {
			// Nearly every message uses this path.
			for {
				n := in.c.owner.messages.matches(in.next(), in.awaited(), b)
				if n == 0 {
					break
				}
				in.echoed += int64(n)
				b = b[n*in.c.owner.messages.inOne:]
			}
		}
		if !in.frame.open {
			n, err := in.header(b)
			if !in.frame.open || err != nil {
				return b, err
			}
			b = b[n:]
		}
		n := int(min(uint64(len(b)), in.frame.remaining))
		if err := in.payload(b[:n]); err != nil {
			return nil, err
		}
		b = b[n:]
		in.frame.remaining -= uint64(n)
		if in.frame.remaining > 0 {
			return nil, nil
		}
		in.frame.open = false
		if err := in.endFrame(); err != nil {
			return nil, err
		}
	}
}

// next returns the index of the message that the next echo must equal.
func (in *incoming) next() int { return in.c.first + int(in.echoed) }

// awaited returns the number of messages that were sent, or may be, and were not echoed.
func (in *incoming) awaited() int { return int(in.c.due.Load() - in.echoed) }

// header begins a frame. It returns the length of the header, 0 if a part is missing.
func (in *incoming) header(b []byte) (int, error) {
	if m := in.c.owner.messages; m.bytes {
		if len(b) == 0 {
			return 0, nil
		}
		if in.awaited() == 0 {
			return 0, in.unexpected(fmt.Sprintf("%d bytes or more", len(b)))
		}
		in.frame.Header, in.frame.remaining = frame.Header{First: frame.Fin | m.opcode}, uint64(m.size)
		in.frame.open, in.message.open, in.message.size = true, true, 0
		return 0, nil
	}
	h, n := frame.ParseHeader(b)
	if len(b) < n {
		return 0, nil
	}
	if err := h.CheckServer(in.message.open, in.c.owner.plan.Compression); err != nil {
		return 0, fault{brokeProtocol, err.Error()}
	}
	op := h.Opcode()
	in.frame.open, in.frame.Header, in.frame.remaining = true, h, h.Length
	if op >= frame.Close {
		in.control = in.control[:0]
		return n, nil
	}
	if op != frame.Continuation {
		if err := in.beginMessage(h); err != nil {
			return 0, err
		}
	}
	size := in.c.owner.messages.size
	most := size
	if in.message.compressed {
		most = 2*size + 1024 // no compressor makes a message longer than this
	}
	if !in.message.skipped && h.Length > uint64(most-in.message.wire) {
		return 0, in.tooLong(size)
	}
	return n, nil
}

// beginMessage begins a message with its first header.
func (in *incoming) beginMessage(h frame.Header) error {
	in.message.open, in.message.wire, in.message.size = true, 0, 0
	in.message.compressed = h.First&frame.RSV1 != 0
	if in.message.compressed {
		in.inflate.Begin()
		if in.plain == nil {
			in.plain = make([]byte, 16<<10)
		}
	}
	in.message.skipped = in.awaited() == 0 && in.skip > 0
	if in.message.skipped {
		return nil
	}
	if in.awaited() == 0 {
		return in.unexpected(fmt.Sprintf("%s of %d bytes or more", kindOf(h.Opcode()), h.Length))
	}
	if sent := in.c.owner.messages.opcode; h.Opcode() != sent {
		return in.wrong("%s came back as %s", kindOf(sent), kindOf(h.Opcode()))
	}
	return nil
}

// unexpected returns the fault for a message that is no echo.
func (in *incoming) unexpected(message string) error {
	if in.c.due.Load() == 0 {
		return fault{greeting, message + "; SkipGreeting (--skip-greeting) ignores it"}
	}
	return fault{unsolicited, message}
}

// wrong returns the fault for a wrong echo. The first message of a connection may be a
// late greeting.
func (in *incoming) wrong(format string, args ...any) error {
	if in.echoed == 0 && !in.c.owner.messages.bytes {
		format += "; if it is a greeting, SkipGreeting (--skip-greeting) ignores it"
	}
	return faultf(wrongEcho, format, args...)
}

func (in *incoming) tooLong(size int) error {
	return in.wrong("it came back longer than the %d bytes that were sent", size)
}

func kindOf(opcode byte) string {
	if opcode == frame.Text {
		return "a text"
	}
	return "a binary message"
}

// payload checks a part of a frame.
func (in *incoming) payload(b []byte) error {
	if in.frame.Opcode() >= frame.Close {
		in.control = append(in.control, b...)
		return nil
	}
	if len(b) == 0 {
		return nil
	}
	in.c.moved.Add(1)
	in.message.wire += len(b)
	if !in.message.compressed {
		return in.compare(b)
	}
	for {
		n, used, err := in.inflate.Inflate(in.plain, b)
		if err := in.compare(in.plain[:n]); err != nil {
			return err
		}
		if err != nil {
			return in.wrong("%v", err)
		}
		if n < len(in.plain) {
			return nil
		}
		b = b[used:]
	}
}

// compare compares the next bytes of the message.
func (in *incoming) compare(b []byte) error {
	if in.message.skipped {
		return nil
	}
	message, from := in.c.owner.messages.at(in.next()), in.message.size
	want := message[from:]
	if len(b) > len(want) {
		return in.tooLong(len(message))
	}
	if !bytes.Equal(b, want[:len(b)]) {
		i := 0
		for b[i] == want[i] {
			i++
		}
		return in.wrong("byte %d of %d is %#02x instead of %#02x; it has %s", from+i+1, len(message), b[i], want[i], handshake.Quoted(b[i:]))
	}
	in.message.size += len(b)
	return nil
}

// endFrame ends a frame whose payload is complete.
func (in *incoming) endFrame() error {
	switch in.frame.Opcode() {
	case frame.Ping:
		in.c.answerPing(in.control)
		return nil
	case frame.Pong:
		return nil
	case frame.Close:
		return fault{closed, closeReason(in.control)}
	}
	if !in.frame.Fin() {
		return nil
	}
	in.message.open = false
	if in.message.compressed && !in.inflate.End() {
		return in.wrong("its compressed data is incomplete")
	}
	if in.message.skipped {
		in.skip--
		return nil
	}
	if size, want := in.message.size, in.c.owner.messages.size; size != want {
		return in.wrong("%d of %d bytes came back", size, want)
	}
	in.echoed++
	return nil
}

// closeReason describes a close frame.
func closeReason(p []byte) string {
	code, reason, err := frame.ParseClose(p)
	switch {
	case err != nil:
		return err.Error()
	case len(p) == 0:
		return "a close frame without a code"
	case len(reason) > 0:
		return fmt.Sprintf("close code %d, %s", code, handshake.Quoted(reason))
	}
	return fmt.Sprintf("close code %d", code)
}
