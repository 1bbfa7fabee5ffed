package endings

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

var (
	whole = wstest.TextFrame("whole")
	cut   = wstest.TextFrame("cut short by the peer")
	long  = wstest.BinaryFrame([]byte("cut" + strings.Repeat(".", 297)))   // length in 16 bits
	huge  = wstest.BinaryFrame([]byte("cut" + strings.Repeat(".", 69997))) // length in 64 bits
	start = wstest.TextFrame("cut").Open()                                 // of an unfinished message

	// A text with RSV1 is compressed. Its payload is one stored block of deflate.
	deflated      = wstest.TextFrame("\x00\x05\x00\xfa\xffwhole\x00").WithRsv(wstest.RSV1)
	deflatedStart = wstest.TextFrame("\x00\x03\x00\xfc\xffcut\x00").WithRsv(wstest.RSV1).Open()
	corrupt       = wstest.TextFrame("\x07\x07\x07\x07").WithRsv(wstest.RSV1)
)

// serverScenarios returns all scenarios for servers.
func serverScenarios() []scenario {
	return slices.Concat(
		closeScenarios(), badCloseScenarios(), finScenarios(), rstScenarios(), tlsScenarios(),
		deflateScenarios(), refusalScenarios(), protocolScenarios(), waitScenarios(), ownScenarios(),
	)
}

var (
	abnormal  = expectation{gorilla: 1006, kind: ending.Abnormal}
	reset     = expectation{kind: ending.Reset}
	violation = expectation{kind: ending.Protocol}
	local     = expectation{kind: ending.Closed}
	goneAway  = expectation{gorilla: 1001, kind: ending.GoingAway, code: 1001}
	normal    = expectation{gorilla: 1000, kind: ending.Normal, code: 1000}
)

// afterEcho returns steps that begin with a message and its echo.
func afterEcho(steps ...step) []step {
	return append([]step{send(whole), receiveEcho("whole")}, steps...)
}

// because returns e with a reason for its different code.
func because(e expectation, reason string) expectation {
	e.codes = reason
	return e
}

func code(c int) expectation {
	return expectation{gorilla: c, kind: ending.PeerCode, code: coder.StatusCode(c)}
}

// closeScenarios: the peer sends a valid close frame.
func closeScenarios() []scenario {
	frame := func(code uint16, reason string) []step { return []step{send(wstest.CloseFrame(code, reason))} }
	unknown := code(1014)
	unknown.gorilla = 0
	return []scenario{
		{"close 1000", setup{}, frame(1000, ""), normal},
		{"close 1000 with a reason", setup{}, frame(1000, "done"), normal},
		{"close without a code", setup{}, frame(0, ""), expectation{gorilla: 1005, kind: ending.Normal, code: 1005}},
		{"close 1001", setup{}, frame(1001, ""), goneAway},
		{"close 1001 with a reason", setup{}, frame(1001, "the tab is closed"), goneAway},
		{"close 1001 with the longest reason", setup{}, frame(1001, strings.Repeat("é", 61)+"."), goneAway},
		{"close 1001 after a message", setup{}, afterEcho(frame(1001, "")...), goneAway},
		{"close 1001 directly after a message", setup{}, []step{send(whole, wstest.CloseFrame(1001, ""))}, goneAway},
		{"close 1001 between fragments", setup{}, []step{send(start, wstest.CloseFrame(1001, ""))}, goneAway},
		{"close 1000 between fragments", setup{}, []step{send(start, wstest.CloseFrame(1000, ""))}, normal},
		{"close 1001, then FIN at once", setup{}, append(frame(1001, ""), fin), goneAway},
		{"close 1001, then RST at once", setup{}, append(frame(1001, ""), rst), goneAway},
		{"close 1000, then FIN at once", setup{}, append(frame(1000, ""), fin), normal},
		{"close 1001 over TLS", setup{tls: true}, frame(1001, ""), goneAway},
		{"close 1000 over TLS", setup{tls: true}, frame(1000, ""), normal},
		{"close 1002", setup{}, frame(1002, "so you say"), code(1002)},
		{"close 1003", setup{}, frame(1003, ""), code(1003)},
		{"close 1007", setup{}, frame(1007, ""), code(1007)},
		{"close 1008", setup{}, frame(1008, "no"), code(1008)},
		{"close 1009", setup{}, frame(1009, ""), code(1009)},
		{"close 1010", setup{}, frame(1010, ""), code(1010)},
		{"close 1011", setup{}, frame(1011, "panic"), code(1011)},
		{"close 1012", setup{}, frame(1012, ""), code(1012)},
		{"close 1013", setup{}, frame(1013, "later"), code(1013)},
		{"close 1014", setup{}, frame(1014, ""), because(unknown, "gorilla does not know 1014, bad gateway, and refuses it")},
		{"close 3000", setup{}, frame(3000, ""), code(3000)},
		{"close 4000", setup{}, frame(4000, "ours to say"), code(4000)},
		{"close 4999", setup{}, frame(4999, ""), code(4999)},
	}
}

// badCloseScenarios: the peer sends an invalid close frame.
func badCloseScenarios() []scenario {
	bad := func(name string, f wstest.Frame) scenario {
		return scenario{name, setup{}, []step{send(f)}, violation}
	}
	body := func(payload ...byte) wstest.Frame {
		return wstest.Frame{Fin: true, Opcode: wstest.Close, Payload: payload}
	}
	one := bad("close of one byte", body(3))
	one.gorilla, one.codes = 1005, "gorilla treats one byte as no code"
	invalid := bad("close 1000, reason not UTF-8", wstest.CloseFrame(1000, "\xff"))
	invalid.kind = ending.InvalidUTF8
	away := bad("close 1001, reason not UTF-8", wstest.CloseFrame(1001, "going \xc3"))
	away.kind = ending.InvalidUTF8
	return []scenario{
		one, invalid, away,
		bad("close 0", body(0, 0)),
		bad("close 999", wstest.CloseFrame(999, "")),
		bad("close 1004", wstest.CloseFrame(1004, "")),
		bad("close 1005", wstest.CloseFrame(1005, "")),
		bad("close 1006", wstest.CloseFrame(1006, "")),
		bad("close 1015", wstest.CloseFrame(1015, "")),
		bad("close 1016", wstest.CloseFrame(1016, "")),
		bad("close 2999", wstest.CloseFrame(2999, "")),
		bad("close 5000", wstest.CloseFrame(5000, "")),
		bad("close 65535", wstest.CloseFrame(65535, "")),
		bad("close 1001 of 126 bytes", wstest.CloseFrame(1001, strings.Repeat(".", 124))),
		bad("close 1001 in fragments", wstest.CloseFrame(1001, "").Open()),
	}
}

// finScenarios: the stream ends with FIN and without a close frame.
func finScenarios() []scenario {
	return []scenario{
		{"FIN before any frame", setup{}, []step{closeTCP}, abnormal},
		{"FIN after a message", setup{}, afterEcho(closeTCP), abnormal},
		{"FIN directly after a message", setup{}, []step{send(whole), fin}, abnormal},
		{"FIN with a message, the peer does not read the reply", setup{}, []step{corked, send(whole), closeTCP}, abnormal},
		{"FIN with messages, the peer does not read the replies", setup{}, []step{corked, send(whole, whole, whole), closeTCP},
			expectation{kind: ending.Abnormal, verdict: "gorilla's loop stops at the failed write, before it reads the end of the stream"}},
		{"half-close, the peer still reads", setup{}, []step{fin, answer(wstest.AnswerOptions{})}, abnormal},
		{"FIN after a ping", setup{}, []step{send(wstest.PingFrame("?")), receive, closeTCP}, abnormal},
		{"FIN in a header, after 1 byte of 6", setup{}, []step{part(cut, 1), fin}, abnormal},
		{"FIN in a header, before the mask key", setup{}, []step{part(cut, 2), fin}, abnormal},
		{"FIN in a header, inside the mask key", setup{}, []step{part(cut, 4), fin}, abnormal},
		{"FIN in a header, inside 16 bits of length", setup{}, []step{part(long, 3), fin}, abnormal},
		{"FIN in a header, after 16 bits of length", setup{}, []step{part(long, 4), fin}, abnormal},
		{"FIN in a header, inside 64 bits of length", setup{}, []step{part(huge, 7), fin}, abnormal},
		{"FIN in a header, after 64 bits of length", setup{}, []step{part(huge, 10), fin}, abnormal},
		{"FIN between header and payload", setup{}, []step{part(cut, 6), fin}, abnormal},
		{"FIN in a payload", setup{}, []step{part(cut, 6+9), fin}, abnormal},
		{"FIN in a payload, a byte before its end", setup{}, []step{part(cut, 6+20), fin}, abnormal},
		{"FIN in a payload of many segments", setup{}, []step{part(huge, 35000), fin}, abnormal},
		{"FIN in a payload, after a pause", setup{}, []step{part(cut, 6+9), pause(20 * time.Millisecond), fin}, abnormal},
		{"FIN in a payload, after a whole message", setup{}, []step{send(whole), part(cut, 6+9), fin}, abnormal},
		{"FIN between fragments", setup{}, []step{send(start), fin}, abnormal},
		{"FIN between fragments, after a pause", setup{}, []step{send(start), pause(20 * time.Millisecond), fin}, abnormal},
		{"FIN between fragments, after an empty one", setup{}, []step{send(start, wstest.Frame{}), fin}, abnormal},
		{"FIN in the last fragment", setup{}, []step{send(start), part(wstest.Fragments(wstest.Text, "", "the end")[1], 9), fin}, abnormal},
		{"FIN between fragments, after a ping", setup{}, []step{send(start, wstest.PingFrame("?")), receive, fin}, abnormal},
		{"FIN in a ping", setup{}, []step{part(wstest.PingFrame("are you there?"), 9), fin}, abnormal},
		{"FIN in a close frame", setup{}, []step{part(wstest.CloseFrame(1000, "done"), 8), fin}, abnormal},
	}
}

// rstScenarios: the peer's kernel resets the connection.
func rstScenarios() []scenario {
	return []scenario{
		{"RST before any frame", setup{}, []step{rst}, reset},
		{"RST after a message", setup{}, afterEcho(rst), reset},
		{"RST directly after a message", setup{}, []step{send(whole), rst}, reset},
		{"RST directly after messages", setup{}, []step{send(whole, whole, whole), rst}, reset},
		{"RST in a header", setup{}, []step{part(cut, 2), rst}, reset},
		{"RST in a payload", setup{}, []step{part(cut, 6+9), rst}, reset},
		{"RST in a payload, after a pause", setup{}, []step{part(cut, 6+9), pause(20 * time.Millisecond), rst}, reset},
		{"RST between fragments", setup{}, []step{send(start), rst}, reset},
		{"RST under TLS", setup{tls: true}, []step{rst}, reset},
		{"RST under TLS in a payload", setup{tls: true}, []step{part(cut, 6+9), rst}, reset},
	}
}

// tlsScenarios: the stream ends in a way that only TLS has.
func tlsScenarios() []scenario {
	tls := setup{tls: true}
	truncated := expectation{kind: ending.Truncated}
	return []scenario{
		{"TLS: close_notify and FIN", tls, []step{fin}, abnormal},
		{"TLS: close_notify alone", tls, []step{closeNotify}, abnormal},
		{"TLS: close_notify in a payload", tls, []step{part(cut, 6+9), fin}, abnormal},
		{"TLS: close_notify between fragments", tls, []step{send(start), fin}, abnormal},
		{"TLS: close_notify in a header", tls, []step{part(cut, 1), fin}, abnormal},
		{"TLS: FIN between records", tls, []step{cutTLS}, abnormal},
		{"TLS: FIN between records, after a message", tls, afterEcho(cutTLS), abnormal},
		{"TLS: FIN between records, in a payload", tls, []step{part(cut, 6+9), cutTLS}, abnormal},
		{"TLS: FIN between records, between fragments", tls, []step{send(start), cutTLS}, abnormal},
		{"TLS: FIN in a record's header", tls, []step{partOfRecord(3), cutTLS}, truncated},
		{"TLS: FIN in a record", tls, []step{partOfRecord(5 + 100), cutTLS}, truncated},
		{"TLS: FIN in a record, after a message", tls, afterEcho(partOfRecord(5+100), cutTLS), truncated},
		{"TLS: FIN in a record, in a payload", tls, []step{part(cut, 6+9), partOfRecord(5 + 100), cutTLS}, truncated},
		{"TLS: FIN in a record, between fragments", tls, []step{send(start), partOfRecord(5 + 100), cutTLS}, truncated},
		{"TLS: a forged record", tls, []step{forgedRecord}, expectation{kind: ending.BadTLS}},
	}
}

// deflateScenarios: messages are compressed.
func deflateScenarios() []scenario {
	deflate := setup{deflate: true}
	return []scenario{
		{"deflate: close 1001", deflate, []step{send(deflated), receive, send(wstest.CloseFrame(1001, ""))}, goneAway},
		{"deflate: FIN after a message", deflate, []step{send(deflated), receive, closeTCP}, abnormal},
		{"deflate: FIN in a payload", deflate, []step{part(deflated, 6+8), fin}, abnormal},
		{"deflate: FIN between fragments", deflate, []step{send(deflatedStart), fin}, abnormal},
		{"deflate: RST in a payload", deflate, []step{part(deflated, 6+8), rst}, reset},
		{"deflate: not deflate", deflate, []step{send(corrupt)}, expectation{kind: ending.Protocol, code: 1007}},
	}
}

// refusalScenarios: the peer exceeds a limit, or sends text that is not UTF-8.
func refusalScenarios() []scenario {
	limited := setup{
		ours:    func(o *server.Options) { o.ReadLimit = 100 },
		gorilla: func(c *gorilla.Conn) { c.SetReadLimit(100) },
	}
	tooBig := expectation{kind: ending.TooBig}
	slow := setup{
		ours:    func(o *server.Options) { o.MessageTimeout = 2 * grace },
		gorilla: func(c *gorilla.Conn) { _ = c.SetReadDeadline(time.Now().Add(2 * grace)) },
	}
	notUTF8 := func(name string, f ...wstest.Frame) scenario {
		e := expectation{gorilla: 1000, kind: ending.InvalidUTF8, codes: "gorilla does not check text, and reads the close frame"}
		return scenario{name, setup{}, []step{send(f...), receive, send(wstest.CloseFrame(1000, ""))}, e}
	}
	flood := make([]wstest.Frame, 5000)
	flood[0] = wstest.TextFrame("whole").Open()
	flood = append(flood, wstest.Frame{Fin: true})
	return []scenario{
		{"a message over the limit", limited, []step{send(wstest.TextFrame(strings.Repeat(".", 101)))}, tooBig},
		{"a message over the limit is announced", limited, []step{part(huge, 14)}, tooBig},
		{"a message over the limit in fragments", limited, []step{send(wstest.Fragments(wstest.Text, strings.Repeat(".", 60), strings.Repeat(".", 60))...)}, tooBig},
		{"a message over the limit, then FIN", limited, []step{corked, part(huge, 5000), closeTCP}, tooBig},
		{"a message that stops", slow, []step{part(cut, 6+9)}, expectation{kind: ending.TooSlow}},
		{"a header that stops", slow, []step{part(cut, 3)}, expectation{kind: ending.TooSlow}},
		notUTF8("text not UTF-8, then close 1000", wstest.TextFrame("whole \xff")),
		notUTF8("text not UTF-8 in fragments, then close 1000", wstest.Fragments(wstest.Text, "whole \xe2\x82", "\xe2")...),
		notUTF8("text that ends inside a rune, then close 1000", wstest.TextFrame("whole \xe2\x82")),
		{"text not UTF-8, then FIN", setup{}, []step{send(wstest.TextFrame("whole \xff")), receive, fin},
			expectation{gorilla: 1006, kind: ending.InvalidUTF8, verdict: "gorilla does not check text, so FIN is its first error"}},
		{"thousands of empty fragments, then close 1000", setup{}, []step{send(flood...), receive, send(wstest.CloseFrame(1000, ""))},
			expectation{gorilla: 1000, kind: ending.Flood, codes: "gorilla does not count fragments, and reads the close frame"}},
		{"thousands of empty fragments, then FIN", setup{}, []step{send(flood...), receive, fin},
			expectation{gorilla: 1006, kind: ending.Flood, verdict: "gorilla does not count fragments, so FIN is its first error"}},
	}
}

// protocolScenarios: the peer breaks the rules of framing.
func protocolScenarios() []scenario {
	const fin = 0x80
	header := func(first byte, masked bool, length uint64, bits int) []step {
		return []step{raw(wstest.Header(first, masked, key, length, bits))}
	}
	frame := func(f wstest.Frame) []step { return []step{send(f)} }
	longForm := append(wstest.Header(fin|wstest.Text, true, [4]byte{}, 5, 16), "whole"...)
	return []scenario{
		{"RSV1 without an extension", setup{}, frame(cut.WithRsv(wstest.RSV1)), violation},
		{"RSV2", setup{}, frame(cut.WithRsv(wstest.RSV2)), violation},
		{"RSV3 on a ping", setup{}, frame(wstest.PingFrame("").WithRsv(wstest.RSV3)), violation},
		{"reserved opcode 3", setup{}, frame(wstest.Frame{Fin: true, Opcode: 3}), violation},
		{"reserved opcode 11", setup{}, frame(wstest.Frame{Fin: true, Opcode: 11}), violation},
		{"not masked", setup{}, header(fin|wstest.Text, false, 5, 0), violation},
		{"not masked, close 1001", setup{}, []step{raw(append(wstest.Header(fin|wstest.Close, false, key, 2, 0), 3, 0xe9))}, violation},
		{"a ping in fragments", setup{}, frame(wstest.PingFrame("half").Open()), violation},
		{"a ping of 126 bytes", setup{}, frame(wstest.PingFrame(strings.Repeat(".", 126))), violation},
		{"a continuation without a message", setup{}, frame(wstest.Frame{Fin: true, Payload: []byte("cut")}), violation},
		{"a message inside a message", setup{}, []step{send(start, whole)}, violation},
		{"a length with the top bit set", setup{}, header(fin|wstest.Binary, true, 1<<63+5, 64), violation},
		{"a violation, then FIN", setup{}, []step{send(wstest.Frame{Fin: true, Opcode: 3}), closeTCP}, violation},
		{"a violation, then RST", setup{}, []step{send(wstest.Frame{Fin: true, Opcode: 3}), rst}, violation},
		{"a violation over TLS", setup{tls: true}, frame(wstest.Frame{Fin: true, Opcode: 3}), violation},
		{"a length in too long a form, then close 1000", setup{}, []step{raw(longForm), receive, send(wstest.CloseFrame(1000, ""))},
			expectation{gorilla: 1000, kind: ending.Protocol, codes: "gorilla accepts a length in any form, and reads the close frame"}},
		{"a length in too long a form, then FIN", setup{}, []step{raw(longForm), receive, closeTCP},
			expectation{gorilla: 1006, kind: ending.Protocol, verdict: "gorilla accepts a length in any form, so FIN is its first error"}},
	}
}

// waitScenarios: the peer is silent or does not read, or the network path is lost.
func waitScenarios() []scenario {
	heartbeat := setup{
		ours: func(o *server.Options) {
			o.PingInterval, o.PingTimeout, o.CloseTimeout = interval, interval, grace
		},
		gorilla: func(c *gorilla.Conn) { expectPongs(c, 4*interval) },
	}
	lenient := setup{
		ours: func(o *server.Options) {
			o.PingInterval, o.PingTimeout, o.MaxMissed = interval, interval, int(stepTimeout/interval)
		},
		gorilla: func(c *gorilla.Conn) { expectPongs(c, stepTimeout) },
	}
	stall := setup{
		dial: wstest.DialOptions{RcvBuf: 4 << 10},
		ours: func(o *server.Options) { o.WriteTimeout = 2 * grace },
		gorilla: func(c *gorilla.Conn) {
			_ = c.SetWriteDeadline(time.Now().Add(2 * grace))
		},
		listen: func(l net.Listener) net.Listener {
			return each{l, func(c net.Conn) net.Conn {
				_ = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
				return c
			}}
		},
	}
	beat := act(link.beat)
	lost := expectation{kind: ending.Lost}
	return []scenario{
		{"no pong", heartbeat, []step{beat}, expectation{kind: ending.NoPong}},
		{"no second pong", heartbeat, []step{beat, receive, send(wstest.PongFrame("")), send(whole)}, expectation{kind: ending.NoPong}},
		{"no pong, but an answer to our close frame", heartbeat, []step{beat, answer(wstest.AnswerOptions{NoPong: true})},
			expectation{kind: ending.NoPong}}, // the server does not wait for that answer
		{"pongs, then close 1001", lenient, []step{beat, receive, send(wstest.PongFrame("")), send(wstest.CloseFrame(1001, ""))}, goneAway},
		{"pongs, then FIN", lenient, []step{beat, receive, closeTCP}, abnormal},
		{"the peer does not read", stall, []step{send(wstest.TextFrame("whole" + strings.Repeat(".", 1<<20)))}, expectation{kind: ending.WriteStalled}},
		{"the path is cut", cutOnRequest, []step{cutPath, act(func(l link) { l.write("hello?") })}, lost},
		{"the path is cut, in a payload", cutOnRequest, []step{part(cut, 6+9), cutPath, act(func(l link) { l.write("hello?") })}, lost},
		{"ETIMEDOUT (injected)", inject(syscall.ETIMEDOUT), []step{fin}, lost},
		{"ETIMEDOUT in a payload (injected)", inject(syscall.ETIMEDOUT), []step{part(cut, 6+9), fin}, lost},
		{"EHOSTUNREACH (injected)", inject(syscall.EHOSTUNREACH), []step{fin}, lost},
	}
}

// expectPongs sets a read deadline that each pong extends, as gorilla's examples do.
func expectPongs(c *gorilla.Conn, wait time.Duration) {
	alive := func(string) error { return c.SetReadDeadline(time.Now().Add(wait)) }
	c.SetPongHandler(alive)
	_ = alive("")
}

// ownScenarios: the side under test ends the connection.
func ownScenarios() []scenario {
	// The read reports the later event. Only the Outcome knows which side began.
	const weBegan = "gorilla reports the peer's reaction; the Outcome reports which side began"
	own := func(gorilla int, code coder.StatusCode) expectation {
		return expectation{gorilla: gorilla, kind: ending.Closed, code: code, codes: weBegan}
	}
	silent := setup{
		ours:    func(o *server.Options) { o.CloseTimeout = grace },
		gorilla: func(c *gorilla.Conn) { _ = c.SetReadDeadline(time.Now().Add(2 * grace)) },
	}
	canceled := setup{readCtx: context.WithCancel}
	deadline := setup{
		readCtx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, grace)
		},
		gorilla: func(c *gorilla.Conn) { _ = c.SetReadDeadline(time.Now().Add(grace)) },
	}
	localWith1001 := local
	localWith1001.code = 1001
	closes := func(code int) step { return act(func(l link) { l.closeWith(code) }) }
	answers := answer(wstest.AnswerOptions{})
	drained := expectation{kind: ending.Drained}
	drainedReceived1001 := expectation{gorilla: 1001, kind: ending.Drained, codes: weBegan}
	cancelRead := act(link.cancelRead)
	return []scenario{
		{"we close 1001, the peer answers", setup{}, []step{closes(1001), answers}, own(1001, 1001)},
		{"we close 1000, the peer answers", setup{}, []step{closes(1000), answers}, own(1000, 1000)},
		{"we close 4000, the peer answers", setup{}, []step{closes(4000), answers}, own(4000, 4000)},
		{"we close 1001, the peer answers 1000", setup{}, []step{closes(1001), answer(wstest.AnswerOptions{Code: 1000})}, own(1000, 1001)},
		{"we close 1000, the peer answers 1001", setup{}, []step{closes(1000), answer(wstest.AnswerOptions{Code: 1001})}, own(1001, 1000)},
		{"we close 1001, the peer sends FIN", setup{}, []step{closes(1001), receiveClose, fin}, own(1006, 1001)},
		{"we close 1001, the peer is silent", silent, []step{closes(1001)}, localWith1001},
		{"we close the socket", setup{}, []step{act(link.closeNow)}, local},
		{"we close the socket, in a payload", setup{}, []step{part(cut, 6+9), act(link.closeNow)}, local},
		{"we drain, the peer answers", setup{}, []step{act(link.drain), answers}, drainedReceived1001},
		{"we drain, the peer answers over TLS", setup{tls: true}, []step{act(link.drain), answers}, drainedReceived1001},
		{"we drain, the peer sends FIN", setup{}, []step{act(link.drain), receiveClose, fin}, expectation{gorilla: 1006, kind: ending.Drained, codes: weBegan}},
		{"we drain, the peer is silent", silent, []step{act(link.drain)}, drained},
		{"idle for too long", silent.with(func(o *server.Options) { o.IdleTimeout = grace }), nil, expectation{kind: ending.Idle}},
		{"idle for too long, with pings", silent.with(func(o *server.Options) { o.IdleTimeout = grace }),
			[]step{send(wstest.PingFrame("?")), receive}, expectation{kind: ending.Idle}},
		{"older than MaxAge", silent.with(func(o *server.Options) { o.MaxAge = grace }), nil, expectation{kind: ending.Aged}},
		{"the read's context is cancelled", canceled, []step{cancelRead}, local},
		{"the read's context is cancelled, in a payload", canceled, []step{part(cut, 6+9), cancelRead}, local},
		{"the read's context has a deadline", deadline, nil, local},
		{"the read's context has a deadline, in a payload", deadline, []step{part(cut, 6+9)}, local},
	}
}

// with returns s with one more option.
func (s setup) with(option func(*server.Options)) setup {
	before := s.ours
	s.ours = func(o *server.Options) {
		before(o)
		option(o)
	}
	return s
}

// cutOnRequest is a setup in which a step can cut the network path.
var cutOnRequest = setup{
	isolate: true,
	listen:  func(l net.Listener) net.Listener { return each{l, withShortTCPTimeout} },
}

// each is a listener that wraps each accepted connection.
type each struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l each) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}

// inject returns a setup whose sockets return err at the end of the stream.
func inject(err syscall.Errno) setup {
	return setup{listen: func(l net.Listener) net.Listener {
		return each{l, func(c net.Conn) net.Conn { return failing{c, err} }}
	}}
}

type failing struct {
	net.Conn
	err syscall.Errno
}

func (c failing) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		err = &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", c.err)}
	}
	return n, err
}
