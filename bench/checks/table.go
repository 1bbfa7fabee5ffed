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

// table returns all checks.
func table() []check {
	var all []check
	for _, group := range [][]check{messages(), texts(), frames(), controls(), closings(), handshakes(), loads(), deflated()} {
		all = append(all, group...)
	}
	return all
}

// key is the mask key of frames that are sent as bytes.
var key = [4]byte{0x5a, 0x91, 0x3c, 0xe7}

// raw returns the bytes of a masked frame.
func raw(f wstest.Frame) []byte { return f.WithKey(key).Append(nil) }

// data returns a frame with the FIN bit.
func data(opcode byte, payload string) wstest.Frame {
	return wstest.Frame{Fin: true, Opcode: opcode, Payload: []byte(payload)}
}

// refused sends bytes after which the server must fail the connection. If it does so
// early, the write fails, so refused ignores that error.
func refused(name string, b []byte) trial {
	return on(name, func(_ *target, t *conn) (verdict, error) {
		_ = t.SendRaw(b)
		return t.refuses(replyTimeout)
	})
}

// refuses waits until the server fails the connection.
func (t *conn) refuses(d time.Duration) (verdict, error) {
	r, err := t.next(d)
	return verdict{r.text, r.fails()}, err
}

// refusedFrames is like refused, with masked frames.
func refusedFrames(name string, frames ...wstest.Frame) trial {
	var b []byte
	for _, f := range frames {
		b = append(b, raw(f)...)
	}
	return refused(name, b)
}

// echoed sends the frames of one message, which the server must echo.
func echoed(name string, frames ...wstest.Frame) trial {
	return on(name, func(_ *target, t *conn) (verdict, error) {
		if err := t.Send(frames...); err != nil {
			return verdict{}, err
		}
		return t.echoes(replyTimeout, frames...)
	})
}

// echoes waits for the message that the frames contain.
func (t *conn) echoes(d time.Duration, frames ...wstest.Frame) (verdict, error) {
	var want []byte
	for _, f := range frames {
		want = append(want, f.Payload...)
	}
	r, err := t.next(d)
	if r.kind != message {
		return verdict{r.text, false}, err
	}
	if r.frame.Opcode != frames[0].Opcode || !bytes.Equal(r.frame.Payload, want) {
		return verdict{"echoed another message", false}, nil
	}
	return verdict{r.text, true}, nil
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
		// Section 5.6. The form of the header changes at these lengths.
		{name: "echo", title: "text and binary of 0 to 65536 bytes", want: "echoed", trials: sizes},
		// Section 5.4: the echo may have other fragments than the message.
		{name: "fragments", title: "a message in fragments, some of them empty", want: "echoed", trials: []trial{
			echoed("text", wstest.Fragments(wstest.Text, "", "a", "", "b", "")...),
			echoed("binary", wstest.Fragments(wstest.Binary, "\xff", "\x00", "")...),
		}},
		// The server must not echo an incomplete message (section 5.4). The RFC names no
		// time for the end of TCP.
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

// cut sends the beginning of a message and FIN. The server may answer with a close frame.
func cut(name string, b []byte, more string) trial {
	return on(name, func(_ *target, t *conn) (verdict, error) {
		if err := t.SendRaw(append(b, more...)); err != nil {
			return verdict{}, err
		}
		if err := t.FIN(); err != nil {
			return verdict{}, err
		}
		r, err := t.next(replyTimeout)
		return verdict{r.text, r.kind == ended || r.kind == closing && (r.empty() || r.legal())}, err
	})
}

// texts returns the checks of UTF-8. The server must fail the connection on invalid text
// (section 8.1), with 1007 (section 7.4.1).
func texts() []check {
	const want = "closed with 1007"
	split := func(name, s string, at int) trial {
		return refusedFrames(name, wstest.Fragments(wstest.Text, s[:at], s[at:])...)
	}
	return []check{
		{name: "invalid-utf8", title: "text that is not UTF-8", want: want, trials: []trial{
			refusedFrames("impossible byte", wstest.TextFrame("ab\xff")),
			refusedFrames("continuation byte first", wstest.TextFrame("\x80ab")),
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
		// The message must be valid UTF-8, but not each fragment.
		{name: "split-utf8", title: "text whose characters are cut by fragments", want: "echoed", trials: []trial{
			echoed("2 bytes", wstest.Fragments(wstest.Text, "\xc3", "\xa9")...),
			echoed("4 bytes", wstest.Fragments(wstest.Text, "a\xf0", "\x9f\x98", "", "\x80b")...),
		}},
		// The RFC does not say how soon. A server that fails at once need not read the rest.
		{name: "fail-fast", title: "invalid UTF-8 in an incomplete frame", want: want + ", at the latest at the end of the frame", trials: []trial{
			on("", func(_ *target, t *conn) (verdict, error) {
				b := raw(wstest.TextFrame("\xffab"))
				last := len(b) - 1
				_ = t.SendRaw(b[:last])
				r, err := t.next(replyTimeout / 4)
				if r.kind != nothing || err != nil {
					return verdict{r.text + " at once", r.fails()}, err
				}
				_ = t.SendRaw(b[last:])
				r, err = t.next(replyTimeout)
				return verdict{r.text + " at the end of the frame", r.fails()}, err
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
		// Section 5.1. A close frame is optional (MAY).
		{name: "unmasked", title: "a frame without a mask", want: want, trials: []trial{
			refused("text", wstest.TextFrame("a").Append(nil)),
			refused("empty text", wstest.TextFrame("").Append(nil)),
			refused("ping", wstest.PingFrame("a").Append(nil)),
		}},
		// Section 5.2: reserved bits and opcodes.
		{name: "reserved-bits", title: "reserved bits without an extension", want: want, trials: bits},
		{name: "reserved-opcodes", title: "reserved opcodes", want: want, trials: opcodes},
		// Section 5.4 defines the order of frames, and forbids interleaved messages.
		{name: "lone-continuation", title: "a continuation without a message", want: want, trials: []trial{
			refusedFrames("last", data(wstest.Continuation, "a")),
			refusedFrames("not last", data(wstest.Continuation, "a").Open()),
		}},
		{name: "interleaved", title: "a message inside a fragmented message", want: want, trials: []trial{
			refusedFrames("text", wstest.TextFrame("a").Open(), wstest.TextFrame("b")),
			refusedFrames("binary", wstest.TextFrame("a").Open(), data(wstest.Binary, "b").Open()),
		}},
		// Section 5.2 demands the shortest form from the sender only, so the receiver may
		// accept the length.
		{name: "long-length", title: "a length not in its shortest form", want: want + ", or echoed", trials: []trial{
			lenient("5 in 16 bits", 5, 16), lenient("5 in 64 bits", 5, 64), lenient("126 in 64 bits", 126, 64),
		}},
	}
}

func lenient(name string, n, bits int) trial {
	f := data(wstest.Binary, strings.Repeat("*", n))
	b := raw(f)
	b = append(wstest.Header(0x80|f.Opcode, true, key, uint64(n), bits), b[len(b)-n:]...)
	return on(name, func(_ *target, t *conn) (verdict, error) {
		_ = t.SendRaw(b)
		r, err := t.next(replyTimeout)
		same := r.kind == message && r.frame.Opcode == f.Opcode && bytes.Equal(r.frame.Payload, f.Payload)
		return verdict{r.text, same || r.fails()}, err
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
			answersPing("empty", ""), answersPing("text", "ab"), answersPing("125 bytes", strings.Repeat("\xff", 125)),
		}},
		// Section 5.4: a control frame may come between fragments. A pong is due as soon as
		// is practical.
		{name: "ping-in-message", title: "a ping between two fragments", want: "a pong, then the echo", trials: []trial{
			on("", func(_ *target, t *conn) (verdict, error) {
				parts := wstest.Fragments(wstest.Text, "a", "b")
				if err := t.Send(parts[0]); err != nil {
					return verdict{}, err
				}
				if v, err := t.pings("?"); err != nil || !v.right {
					return v, err
				}
				if err := t.Send(parts[1]); err != nil {
					return verdict{}, err
				}
				v, err := t.echoes(replyTimeout, parts...)
				v.got = "a pong, then " + v.got
				return v, err
			}),
		}},
		// Section 5.5.3: a pong without a ping needs no answer.
		{name: "pong", title: "a pong without a ping, then a text", want: "the text echoed", trials: []trial{
			on("", func(_ *target, t *conn) (verdict, error) {
				f := wstest.TextFrame("a")
				if err := t.Send(wstest.PongFrame("?"), f); err != nil {
					return verdict{}, err
				}
				return t.echoes(replyTimeout, f)
			}),
		}},
	}
}

// answersPing sends a ping, which the server must answer.
func answersPing(name, payload string) trial {
	return on(name, func(_ *target, t *conn) (verdict, error) { return t.pings(payload) })
}

// pings sends a ping and waits for its pong.
func (t *conn) pings(payload string) (verdict, error) {
	if err := t.Send(wstest.PingFrame(payload)); err != nil {
		return verdict{}, err
	}
	r, err := t.next(replyTimeout)
	switch {
	case r.kind != pong:
		return verdict{r.text, false}, err
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
		bad = append(bad, on(fmt.Sprint(code), func(_ *target, t *conn) (verdict, error) {
			_ = t.Send(wstest.CloseFrame(code, ""))
			r, err := t.next(replyTimeout)
			return verdict{r.text, r.kind == ended || r.kind == closing && (r.empty() || r.legal())}, err
		}))
	}
	return []check{
		// Section 5.5.1: the server answers with a close frame, typically with the same
		// code. Without the same code, it must have 1000 or none. The reason is optional.
		{name: "close", title: "a close frame with a legal code and a reason", want: "closed with the same code", trials: good},
		{name: "close-empty", title: "a close frame without a code", want: "closed with no code", trials: []trial{
			answered("", wstest.CloseFrame(0, "")),
		}},
		// Section 7.4 forbids sending these codes, but does not mention receiving them. A
		// server must not send them back, and must not be silent. The RFC does not mention
		// codes from 5000.
		{name: "close-illegal", title: "close codes that must not be sent", want: "closed with 1002", trials: bad},
		// Section 5.5.1: a payload begins with a code of two bytes.
		{name: "close-one-byte", title: "a close frame of one byte", want: "closed with 1002", trials: []trial{
			refusedFrames("", data(wstest.Close, "\x03")),
		}},
		// Section 5.5.1 with 8.1.
		{name: "close-reason", title: "a close reason that is not UTF-8", want: "closed with 1007", trials: []trial{
			refusedFrames("", data(wstest.Close, "\x03\xe8\xff")),
		}},
		// Section 5.5.1: after both close frames, the server closes TCP at once. This check
		// accepts up to five seconds.
		{name: "tcp-close", title: "TCP after the closing handshake", want: "closed by the server", slow: true, trials: []trial{
			on("", func(_ *target, t *conn) (verdict, error) {
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

// answered sends a legal close frame.
func answered(name string, f wstest.Frame) trial {
	sent, _ := wstest.ParseClose(f.Payload)
	return on(name, func(_ *target, t *conn) (verdict, error) {
		if err := t.Send(f); err != nil {
			return verdict{}, err
		}
		r, err := t.next(replyTimeout)
		same := r.kind == closing && len(f.Payload) > 0 && !r.empty() && r.code == sent
		if same {
			r.text = "closed with the same code"
		}
		return verdict{r.text, same || r.kind == closing && (r.empty() || r.code == 1000)}, err
	})
}
