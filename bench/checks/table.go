package checks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"example.com/wsecho/wstest"
)

func table() []check {
	var all []check
	for _, group := range [][]check{messages(), texts(), frames(), controls(), closings(), handshakes(), loads(), deflated()} {
		all = append(all, group...)
	}
	return all
}

// key masks what is sent byte by byte.
var key = [4]byte{0x5a, 0x91, 0x3c, 0xe7}

// raw is a frame of a client as it goes over the wire.
func raw(f wstest.Frame) []byte { return f.WithKey(key).Append(nil) }

// data is the first frame of a message or all of it.
func data(opcode byte, payload string) wstest.Frame {
	return wstest.Frame{Fin: true, Opcode: opcode, Payload: []byte(payload)}
}

// refused sends bytes after which the server must fail the connection. A write
// that fails only says that it did so early.
func refused(name string, b []byte) trial {
	return on(name, func(_ *target, t *talk) (verdict, error) {
		_ = t.SendRaw(b)
		return t.refuses(patience)
	})
}

// refuses waits for the end of the connection.
func (t *talk) refuses(d time.Duration) (verdict, error) {
	r, err := t.next(d)
	return verdict{r.said, r.fails()}, err
}

// refusedFrames is refused with honest masks.
func refusedFrames(name string, frames ...wstest.Frame) trial {
	var b []byte
	for _, f := range frames {
		b = append(b, raw(f)...)
	}
	return refused(name, b)
}

// echoed sends frames that make one message, which comes back as it was.
func echoed(name string, frames ...wstest.Frame) trial {
	return on(name, func(_ *target, t *talk) (verdict, error) {
		if err := t.Send(frames...); err != nil {
			return verdict{}, err
		}
		return t.echoes(patience, frames...)
	})
}

// echoes waits for the message that the frames make.
func (t *talk) echoes(d time.Duration, frames ...wstest.Frame) (verdict, error) {
	var want []byte
	for _, f := range frames {
		want = append(want, f.Payload...)
	}
	r, err := t.next(d)
	if r.kind != message {
		return verdict{r.said, false}, err
	}
	if r.frame.Opcode != frames[0].Opcode || !bytes.Equal(r.frame.Payload, want) {
		return verdict{"echoed something else", false}, nil
	}
	return verdict{r.said, true}, nil
}

func messages() []check {
	var sizes []trial
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		s := strings.Repeat("*", n)
		sizes = append(sizes,
			echoed(fmt.Sprintf("text of %d", n), wstest.TextFrame(s)),
			echoed(fmt.Sprintf("binary of %d", n), wstest.BinaryFrame([]byte(s))))
	}
	return []check{
		// Section 5.6. The lengths are those where the header changes its form.
		{name: "echo", title: "text and binary of 0 to 65536 bytes", want: "echoed", trials: sizes},
		// Section 5.4: the fragments of the answer need not be those of the question.
		{name: "fragments", title: "a message in fragments, some of them empty", want: "echoed", trials: []trial{
			echoed("text", wstest.Fragments(wstest.Text, "", "a", "", "b", "")...),
			echoed("binary", wstest.Fragments(wstest.Binary, "\xff", "\x00", "")...),
		}},
		// An incomplete message is no message (section 5.4). The RFC names no time
		// for the end of TCP, but nothing else can come.
		{name: "cut-frame", title: "FIN in the middle of a frame", want: "TCP closed, no echo", trials: []trial{
			cut("text", wstest.Header(0x80|wstest.Text, true, key, 5, 0), "ab"),
			cut("binary", wstest.Header(0x80|wstest.Binary, true, key, 5, 0), "ab"),
			cut("after the header", wstest.Header(0x80|wstest.Text, true, key, 5, 0), ""),
		}},
		{name: "cut-message", title: "FIN between two fragments", want: "TCP closed, no echo", trials: []trial{
			cut("text", raw(wstest.TextFrame("ab").Open()), ""),
			cut("binary", raw(wstest.BinaryFrame([]byte("ab")).Open()), ""),
		}},
	}
}

// cut sends the beginning of a message and FIN. A close frame is an answer too.
func cut(name string, b []byte, more string) trial {
	return on(name, func(_ *target, t *talk) (verdict, error) {
		if err := t.SendRaw(append(b, more...)); err != nil {
			return verdict{}, err
		}
		if err := t.FIN(); err != nil {
			return verdict{}, err
		}
		r, err := t.next(patience)
		return verdict{r.said, r.kind == ended || r.kind == closing && (r.empty() || r.legal())}, err
	})
}

// Section 8.1: text that is not UTF-8 must fail the connection, with 1007
// (section 7.4.1).
func texts() []check {
	const want = "closed with 1007"
	split := func(name, s string, at int) trial {
		return refusedFrames(name, wstest.Fragments(wstest.Text, s[:at], s[at:])...)
	}
	return []check{
		{name: "invalid-utf8", title: "text that is not UTF-8", want: want, trials: []trial{
			refusedFrames("impossible byte", wstest.TextFrame("ab\xff")),
			refusedFrames("lonely continuation", wstest.TextFrame("\x80ab")),
			refusedFrames("cut short", wstest.TextFrame("ab\xe2\x82")),
			refusedFrames("overlong", wstest.TextFrame("\xc0\xaf")),
			refusedFrames("surrogate", wstest.TextFrame("\xed\xa0\x80")),
			refusedFrames("beyond Unicode", wstest.TextFrame("\xf4\x90\x80\x80")),
		}},
		{name: "invalid-utf8-fragments", title: "text in fragments that is not UTF-8", want: want, trials: []trial{
			split("in the second", "ab\xff", 2),
			split("overlong across", "\xe0\x80\xaf", 1),
			split("surrogate across", "\xed\xa0\x80", 1),
			split("cut short", "ab\xe2\x82", 3),
		}},
		// Only the message as a whole has to be valid.
		{name: "split-utf8", title: "text whose characters are cut by fragments", want: "echoed", trials: []trial{
			echoed("2 bytes", wstest.Fragments(wstest.Text, "\xc3", "\xa9")...),
			echoed("4 bytes", wstest.Fragments(wstest.Text, "a\xf0", "\x9f\x98", "", "\x80b")...),
		}},
		// The RFC does not say how soon. At once is what spares the rest.
		{name: "fail-fast", title: "invalid UTF-8 in a frame that is not whole yet", want: want + ", at the latest when it is", trials: []trial{
			on("", func(_ *target, t *talk) (verdict, error) {
				b := raw(wstest.TextFrame("\xffab"))
				last := len(b) - 1
				_ = t.SendRaw(b[:last])
				r, err := t.next(patience / 4)
				if r.kind != nothing || err != nil {
					return verdict{r.said + " at once", r.fails()}, err
				}
				_ = t.SendRaw(b[last:])
				r, err = t.next(patience)
				return verdict{r.said + " when it was whole", r.fails()}, err
			}),
		}},
	}
}

func frames() []check {
	const want = "closed with 1002"
	var opcodes, bits []trial
	for _, opcode := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		opcodes = append(opcodes, refusedFrames(fmt.Sprintf("%#x", opcode), data(opcode, "a")))
	}
	for _, rsv := range []byte{wstest.RSV1, wstest.RSV2, wstest.RSV3} {
		bits = append(bits,
			refusedFrames(fmt.Sprintf("text with %03b", rsv), wstest.TextFrame("a").WithRsv(rsv)),
			refusedFrames(fmt.Sprintf("ping with %03b", rsv), wstest.PingFrame("a").WithRsv(rsv)))
	}
	return []check{
		// Section 5.1. The close frame is a MAY.
		{name: "unmasked", title: "a frame without a mask", want: want, trials: []trial{
			refused("text", wstest.TextFrame("a").Append(nil)),
			refused("empty text", wstest.TextFrame("").Append(nil)),
			refused("ping", wstest.PingFrame("a").Append(nil)),
		}},
		// Section 5.2, of reserved bits and of opcodes.
		{name: "reserved-bits", title: "reserved bits without an extension", want: want, trials: bits},
		{name: "reserved-opcodes", title: "reserved opcodes", want: want, trials: opcodes},
		// Section 5.4 says what may follow on what, and that fragments of two
		// messages are not interleaved.
		{name: "lone-continuation", title: "a continuation of no message", want: want, trials: []trial{
			refusedFrames("last", data(wstest.Continuation, "a")),
			refusedFrames("not last", data(wstest.Continuation, "a").Open()),
		}},
		{name: "interleaved", title: "a message inside a fragmented message", want: want, trials: []trial{
			refusedFrames("text", wstest.TextFrame("a").Open(), wstest.TextFrame("b")),
			refusedFrames("binary", wstest.TextFrame("a").Open(), data(wstest.Binary, "b").Open()),
		}},
		// Section 5.2 demands the shortest form from the sender, and nothing from the
		// receiver. To accept the length is right too.
		{name: "long-length", title: "a length not in its shortest form", want: want + ", or echoed", trials: []trial{
			lenient("5 in 16 bits", 5, 16), lenient("5 in 64 bits", 5, 64), lenient("126 in 64 bits", 126, 64),
		}},
	}
}

func lenient(name string, n, bits int) trial {
	f := data(wstest.Binary, strings.Repeat("*", n))
	b := raw(f)
	b = append(wstest.Header(0x80|f.Opcode, true, key, uint64(n), bits), b[len(b)-n:]...)
	return on(name, func(_ *target, t *talk) (verdict, error) {
		_ = t.SendRaw(b)
		r, err := t.next(patience)
		same := r.kind == message && r.frame.Opcode == f.Opcode && bytes.Equal(r.frame.Payload, f.Payload)
		return verdict{r.said, same || r.fails()}, err
	})
}

func controls() []check {
	return []check{
		// Section 5.5.
		{name: "fragmented-control", title: "a control frame in fragments", want: "closed with 1002", trials: []trial{
			refusedFrames("ping", wstest.Fragments(wstest.Ping, "a", "b")...),
			refusedFrames("pong", wstest.Fragments(wstest.Pong, "a", "b")...),
			refusedFrames("close", wstest.CloseFrame(1000, "").Open(), data(wstest.Continuation, "")),
		}},
		{name: "long-control", title: "a control frame of more than 125 bytes", want: "closed with 1002", trials: []trial{
			refusedFrames("ping", wstest.PingFrame(strings.Repeat("*", 126))),
			refusedFrames("pong", wstest.PongFrame(strings.Repeat("*", 126))),
			refusedFrames("close", wstest.CloseFrame(1000, strings.Repeat("*", 124))),
		}},
		// Sections 5.5.2 and 5.5.3.
		{name: "ping", title: "a ping", want: "a pong with the same payload", trials: []trial{
			ponged("empty", ""), ponged("text", "ab"), ponged("125 bytes", strings.Repeat("\xff", 125)),
		}},
		// Section 5.4: a control frame may come between fragments, and a pong is due
		// as soon as is practical.
		{name: "ping-in-message", title: "a ping between two fragments", want: "a pong, then the echo", trials: []trial{
			on("", func(_ *target, t *talk) (verdict, error) {
				parts := wstest.Fragments(wstest.Text, "a", "b")
				if err := t.Send(parts[0]); err != nil {
					return verdict{}, err
				}
				if v, err := t.pongs("?"); err != nil || !v.right {
					return v, err
				}
				if err := t.Send(parts[1]); err != nil {
					return verdict{}, err
				}
				v, err := t.echoes(patience, parts...)
				v.got = "a pong, then " + v.got
				return v, err
			}),
		}},
		// Section 5.5.3: a pong without a ping needs no answer.
		{name: "pong", title: "a pong without a ping, then a text", want: "the text echoed", trials: []trial{
			on("", func(_ *target, t *talk) (verdict, error) {
				f := wstest.TextFrame("a")
				if err := t.Send(wstest.PongFrame("?"), f); err != nil {
					return verdict{}, err
				}
				return t.echoes(patience, f)
			}),
		}},
	}
}

func ponged(name, payload string) trial {
	return on(name, func(_ *target, t *talk) (verdict, error) { return t.pongs(payload) })
}

// pongs sends a ping and waits for its pong.
func (t *talk) pongs(payload string) (verdict, error) {
	if err := t.Send(wstest.PingFrame(payload)); err != nil {
		return verdict{}, err
	}
	r, err := t.next(patience)
	switch {
	case r.kind != pong:
		return verdict{r.said, false}, err
	case string(r.frame.Payload) != payload:
		return verdict{"a pong with another payload", false}, nil
	}
	return verdict{"a pong with the same payload", true}, nil
}

func closings() []check {
	var good, bad []trial
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		good = append(good, answered(fmt.Sprint(code), wstest.CloseFrame(code, "bye")))
	}
	for _, code := range []uint16{999, 1004, 1005, 1006, 1015, 2999} {
		bad = append(bad, on(fmt.Sprint(code), func(_ *target, t *talk) (verdict, error) {
			_ = t.Send(wstest.CloseFrame(code, ""))
			r, err := t.next(patience)
			return verdict{r.said, r.kind == ended || r.kind == closing && (r.empty() || r.legal())}, err
		}))
	}
	return []check{
		// Section 5.5.1: a close frame is answered by one, typically with the same
		// code, which is no demand; the reason need not come back. Another code
		// than 1000 would say that something was wrong.
		{name: "close", title: "a close frame with a legal code and a reason", want: "closed with the same code", trials: good},
		{name: "close-empty", title: "a close frame without a code", want: "closed with no code", trials: []trial{
			answered("", wstest.CloseFrame(0, "")),
		}},
		// Section 7.4 forbids to send such a code, and says nothing about receiving it.
		// It is wrong to send it back, or to send nothing. Codes from 5000 on are not
		// mentioned at all.
		{name: "close-illegal", title: "close codes that must not be sent", want: "closed with 1002", trials: bad},
		// Section 5.5.1: a payload begins with a code of two bytes.
		{name: "close-one-byte", title: "a close frame of one byte", want: "closed with 1002", trials: []trial{
			refusedFrames("", data(wstest.Close, "\x03")),
		}},
		// Section 5.5.1 with 8.1.
		{name: "close-reason", title: "a close reason that is not UTF-8", want: "closed with 1007", trials: []trial{
			refusedFrames("", data(wstest.Close, "\x03\xe8\xff")),
		}},
		// Section 5.5.1: after both close frames the server closes TCP at once. What
		// that is, is left to it, within five seconds.
		{name: "tcp-close", title: "TCP after the closing handshake", want: "closed by the server", slow: true, trials: []trial{
			on("", func(_ *target, t *talk) (verdict, error) {
				if err := t.Send(wstest.CloseFrame(1000, "")); err != nil {
					return verdict{}, err
				}
				e, err := t.End(5 * time.Second)
				switch {
				case errors.Is(err, os.ErrDeadlineExceeded):
					return verdict{"open after 5 s", false}, nil
				case err != nil:
					return verdict{}, err
				case e.AfterClose > 0:
					return verdict{"more frames after the close frame", false}, nil
				case e.After > time.Second:
					return verdict{fmt.Sprintf("closed after %.1f s", e.After.Seconds()), true}, nil
				}
				return verdict{"closed at once", true}, nil
			}),
		}},
	}
}

// answered sends a close frame that is legal.
func answered(name string, f wstest.Frame) trial {
	sent, _ := wstest.ParseClose(f.Payload)
	return on(name, func(_ *target, t *talk) (verdict, error) {
		if err := t.Send(f); err != nil {
			return verdict{}, err
		}
		r, err := t.next(patience)
		same := r.kind == closing && len(f.Payload) > 0 && !r.empty() && r.code == sent
		if same {
			r.said = "closed with the same code"
		}
		return verdict{r.said, same || r.kind == closing && (r.empty() || r.code == 1000)}, err
	})
}
