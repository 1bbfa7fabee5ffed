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
	start = wstest.TextFrame("cut").Open()                                 // of a message that goes on

	// A text with RSV1 is compressed: one block of deflate, stored.
	deflated = wstest.TextFrame("\x00\x05\x00\xfa\xffwhole\x00").WithRsv(wstest.RSV1)
	halved   = wstest.TextFrame("\x00\x03\x00\xfc\xffcut\x00").WithRsv(wstest.RSV1).Open()
	corrupt  = wstest.TextFrame("\x07\x07\x07\x07").WithRsv(wstest.RSV1)
)

// serverScenarios are all that are done to servers.
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

// talked are steps after a message and its echo.
func talked(steps ...step) []step {
	return append([]step{send(whole), hearEcho("whole")}, steps...)
}

// because is e with a reason for its other code.
func because(e expectation, reason string) expectation {
	e.codes = reason
	return e
}

func code(c int) expectation {
	return expectation{gorilla: c, kind: ending.PeerCode, code: coder.StatusCode(c)}
}

// closeScenarios are those of a peer that sends a valid close frame.
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
		{"close 1001 after a message", setup{}, talked(frame(1001, "")...), goneAway},
		{"close 1001 right behind a message", setup{}, []step{send(whole, wstest.CloseFrame(1001, ""))}, goneAway},
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

// badCloseScenarios are those of a peer that sends an invalid close frame.
func badCloseScenarios() []scenario {
	bad := func(name string, f wstest.Frame) scenario {
		return scenario{name, setup{}, []step{send(f)}, violation}
	}
	body := func(payload ...byte) wstest.Frame {
		return wstest.Frame{Fin: true, Opcode: wstest.Close, Payload: payload}
	}
	one := bad("close of one byte", body(3))
	one.gorilla, one.codes = 1005, "gorilla takes one byte for no code"
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

// finScenarios: the stream ends without a word.
func finScenarios() []scenario {
	return []scenario{
		{"FIN before anything", setup{}, []step{hangup}, abnormal},
		{"FIN after a message", setup{}, talked(hangup), abnormal},
		{"FIN right behind a message", setup{}, []step{send(whole), fin}, abnormal},
		{"FIN with a message, nobody left to hear the reply", setup{}, []step{corked, send(whole), hangup}, abnormal},
		{"FIN with messages, nobody left to hear the replies", setup{}, []step{corked, send(whole, whole, whole), hangup},
			expectation{kind: ending.Abnormal, verdict: "gorilla's loop stops at the write that fails, before it has read the end"}},
		{"half-close, the peer listens on", setup{}, []step{fin, answer(wstest.AnswerOptions{})}, abnormal},
		{"FIN after a ping", setup{}, []step{send(wstest.PingFrame("?")), hear, hangup}, abnormal},
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
		{"FIN between fragments, after a ping", setup{}, []step{send(start, wstest.PingFrame("?")), hear, fin}, abnormal},
		{"FIN in a ping", setup{}, []step{part(wstest.PingFrame("are you there?"), 9), fin}, abnormal},
		{"FIN in a close frame", setup{}, []step{part(wstest.CloseFrame(1000, "done"), 8), fin}, abnormal},
	}
}

// rstScenarios: the peer's system resets the connection.
func rstScenarios() []scenario {
	return []scenario{
		{"RST before anything", setup{}, []step{rst}, reset},
		{"RST after a message", setup{}, talked(rst), reset},
		{"RST right behind a message", setup{}, []step{send(whole), rst}, reset},
		{"RST right behind messages", setup{}, []step{send(whole, whole, whole), rst}, reset},
		{"RST in a header", setup{}, []step{part(cut, 2), rst}, reset},
		{"RST in a payload", setup{}, []step{part(cut, 6+9), rst}, reset},
		{"RST in a payload, after a pause", setup{}, []step{part(cut, 6+9), pause(20 * time.Millisecond), rst}, reset},
		{"RST between fragments", setup{}, []step{send(start), rst}, reset},
		{"RST under TLS", setup{tls: true}, []step{rst}, reset},
		{"RST under TLS in a payload", setup{tls: true}, []step{part(cut, 6+9), rst}, reset},
	}
}

// tlsScenarios: the stream ends in the ways that TLS adds.
func tlsScenarios() []scenario {
	tls := setup{tls: true}
	torn := expectation{kind: ending.Truncated}
	return []scenario{
		{"TLS: close_notify and FIN", tls, []step{fin}, abnormal},
		{"TLS: close_notify alone", tls, []step{closeNotify}, abnormal},
		{"TLS: close_notify in a payload", tls, []step{part(cut, 6+9), fin}, abnormal},
		{"TLS: close_notify between fragments", tls, []step{send(start), fin}, abnormal},
		{"TLS: close_notify in a header", tls, []step{part(cut, 1), fin}, abnormal},
		{"TLS: FIN between records", tls, []step{cutTLS}, abnormal},
		{"TLS: FIN between records, after a message", tls, talked(cutTLS), abnormal},
		{"TLS: FIN between records, in a payload", tls, []step{part(cut, 6+9), cutTLS}, abnormal},
		{"TLS: FIN between records, between fragments", tls, []step{send(start), cutTLS}, abnormal},
		{"TLS: FIN in a record's header", tls, []step{tear(3), cutTLS}, torn},
		{"TLS: FIN in a record", tls, []step{tear(5 + 100), cutTLS}, torn},
		{"TLS: FIN in a record, after a message", tls, talked(tear(5+100), cutTLS), torn},
		{"TLS: FIN in a record, in a payload", tls, []step{part(cut, 6+9), tear(5 + 100), cutTLS}, torn},
		{"TLS: FIN in a record, between fragments", tls, []step{send(start), tear(5 + 100), cutTLS}, torn},
		{"TLS: a forged record", tls, []step{forge}, expectation{kind: ending.BadTLS}},
	}
}

// deflateScenarios: messages are compressed.
func deflateScenarios() []scenario {
	deflate := setup{deflate: true}
	return []scenario{
		{"deflate: close 1001", deflate, []step{send(deflated), hear, send(wstest.CloseFrame(1001, ""))}, goneAway},
		{"deflate: FIN after a message", deflate, []step{send(deflated), hear, hangup}, abnormal},
		{"deflate: FIN in a payload", deflate, []step{part(deflated, 6+8), fin}, abnormal},
		{"deflate: FIN between fragments", deflate, []step{send(halved), fin}, abnormal},
		{"deflate: RST in a payload", deflate, []step{part(deflated, 6+8), rst}, reset},
		{"deflate: not deflate", deflate, []step{send(corrupt)}, expectation{kind: ending.Protocol, code: 1007}},
	}
}

// refusalScenarios: the peer sends what is too much.
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
		return scenario{name, setup{}, []step{send(f...), hear, send(wstest.CloseFrame(1000, ""))}, e}
	}
	flood := make([]wstest.Frame, 5000)
	flood[0] = wstest.TextFrame("whole").Open()
	flood = append(flood, wstest.Frame{Fin: true})
	return []scenario{
		{"a message over the limit", limited, []step{send(wstest.TextFrame(strings.Repeat(".", 101)))}, tooBig},
		{"a message over the limit is announced", limited, []step{part(huge, 14)}, tooBig},
		{"a message over the limit in fragments", limited, []step{send(wstest.Fragments(wstest.Text, strings.Repeat(".", 60), strings.Repeat(".", 60))...)}, tooBig},
		{"a message over the limit, then FIN", limited, []step{corked, part(huge, 5000), hangup}, tooBig},
		{"a message that does not go on", slow, []step{part(cut, 6+9)}, expectation{kind: ending.TooSlow}},
		{"a header that does not go on", slow, []step{part(cut, 3)}, expectation{kind: ending.TooSlow}},
		notUTF8("text not UTF-8, then close 1000", wstest.TextFrame("whole \xff")),
		notUTF8("text not UTF-8 in fragments, then close 1000", wstest.Fragments(wstest.Text, "whole \xe2\x82", "\xe2")...),
		notUTF8("text that ends inside a rune, then close 1000", wstest.TextFrame("whole \xe2\x82")),
		{"text not UTF-8, then FIN", setup{}, []step{send(wstest.TextFrame("whole \xff")), hear, fin},
			expectation{gorilla: 1006, kind: ending.InvalidUTF8, verdict: "gorilla does not look at text, goes on, and the FIN is the first that it minds"}},
		{"thousands of empty fragments, then close 1000", setup{}, []step{send(flood...), hear, send(wstest.CloseFrame(1000, ""))},
			expectation{gorilla: 1000, kind: ending.Flood, codes: "gorilla does not count fragments, and reads the close frame"}},
		{"thousands of empty fragments, then FIN", setup{}, []step{send(flood...), hear, fin},
			expectation{gorilla: 1006, kind: ending.Flood, verdict: "gorilla does not count fragments, goes on, and the FIN is the first that it minds"}},
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
		{"a continuation of nothing", setup{}, frame(wstest.Frame{Fin: true, Payload: []byte("cut")}), violation},
		{"a message inside a message", setup{}, []step{send(start, whole)}, violation},
		{"a length with the top bit set", setup{}, header(fin|wstest.Binary, true, 1<<63+5, 64), violation},
		{"a violation, then FIN", setup{}, []step{send(wstest.Frame{Fin: true, Opcode: 3}), hangup}, violation},
		{"a violation, then RST", setup{}, []step{send(wstest.Frame{Fin: true, Opcode: 3}), rst}, violation},
		{"a violation over TLS", setup{tls: true}, frame(wstest.Frame{Fin: true, Opcode: 3}), violation},
		{"a length in too long a form, then close 1000", setup{}, []step{raw(longForm), hear, send(wstest.CloseFrame(1000, ""))},
			expectation{gorilla: 1000, kind: ending.Protocol, codes: "gorilla accepts a length in any form, and reads the close frame"}},
		{"a length in too long a form, then FIN", setup{}, []step{raw(longForm), hear, hangup},
			expectation{gorilla: 1006, kind: ending.Protocol, verdict: "gorilla takes a length in any form, goes on, and the FIN is the first that it minds"}},
	}
}

// waitScenarios: the peer, or the path to it, does nothing.
func waitScenarios() []scenario {
	heartbeat := setup{
		ours: func(o *server.Options) {
			o.PingInterval, o.PingTimeout, o.CloseTimeout = interval, interval, grace
		},
		gorilla: func(c *gorilla.Conn) { expectPongs(c, 4*interval) },
	}
	lenient := setup{
		ours: func(o *server.Options) {
			o.PingInterval, o.PingTimeout, o.MaxMissed = interval, interval, int(patience/interval)
		},
		gorilla: func(c *gorilla.Conn) { expectPongs(c, patience) },
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
		{"no pong any more", heartbeat, []step{beat, hear, send(wstest.PongFrame("")), send(whole)}, expectation{kind: ending.NoPong}},
		{"no pong, but an answer to our close frame", heartbeat, []step{beat, answer(wstest.AnswerOptions{NoPong: true})},
			expectation{kind: ending.NoPong}}, // nobody reads that answer
		{"pongs, then close 1001", lenient, []step{beat, hear, send(wstest.PongFrame("")), send(wstest.CloseFrame(1001, ""))}, goneAway},
		{"pongs, then FIN", lenient, []step{beat, hear, hangup}, abnormal},
		{"the peer does not read", stall, []step{send(wstest.TextFrame("whole" + strings.Repeat(".", 1<<20)))}, expectation{kind: ending.WriteStalled}},
		{"the path is cut", pathCut, []step{severed, act(func(l link) { l.write("hello?") })}, lost},
		{"the path is cut, in a payload", pathCut, []step{part(cut, 6+9), severed, act(func(l link) { l.write("hello?") })}, lost},
		{"ETIMEDOUT (injected)", inject(syscall.ETIMEDOUT), []step{fin}, lost},
		{"ETIMEDOUT in a payload (injected)", inject(syscall.ETIMEDOUT), []step{part(cut, 6+9), fin}, lost},
		{"EHOSTUNREACH (injected)", inject(syscall.EHOSTUNREACH), []step{fin}, lost},
	}
}

// expectPongs is gorilla's idiom for a heartbeat.
func expectPongs(c *gorilla.Conn, wait time.Duration) {
	alive := func(string) error { return c.SetReadDeadline(time.Now().Add(wait)) }
	c.SetPongHandler(alive)
	_ = alive("")
}

// ownScenarios: this side ends it.
func ownScenarios() []scenario {
	// The reader hears what follows; who began is known to the connection alone.
	const asked = "gorilla has what the peer did then; the Outcome knows who began"
	own := func(gorilla int, code coder.StatusCode) expectation {
		return expectation{gorilla: gorilla, kind: ending.Closed, code: code, codes: asked}
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
	told := local
	told.code = 1001
	closes := func(code int) step { return act(func(l link) { l.closeWith(code) }) }
	answers := answer(wstest.AnswerOptions{})
	drained := expectation{kind: ending.Drained}
	drainedHeard := expectation{gorilla: 1001, kind: ending.Drained, codes: asked}
	cancelRead := act(link.cancelRead)
	return []scenario{
		{"we close 1001, the peer answers", setup{}, []step{closes(1001), answers}, own(1001, 1001)},
		{"we close 1000, the peer answers", setup{}, []step{closes(1000), answers}, own(1000, 1000)},
		{"we close 4000, the peer answers", setup{}, []step{closes(4000), answers}, own(4000, 4000)},
		{"we close 1001, the peer answers 1000", setup{}, []step{closes(1001), answer(wstest.AnswerOptions{Code: 1000})}, own(1000, 1001)},
		{"we close 1000, the peer answers 1001", setup{}, []step{closes(1000), answer(wstest.AnswerOptions{Code: 1001})}, own(1001, 1000)},
		{"we close 1001, the peer sends FIN", setup{}, []step{closes(1001), hearClose, fin}, own(1006, 1001)},
		{"we close 1001, the peer is silent", silent, []step{closes(1001)}, told},
		{"we close the socket", setup{}, []step{act(link.closeNow)}, local},
		{"we close the socket, in a payload", setup{}, []step{part(cut, 6+9), act(link.closeNow)}, local},
		{"we drain, the peer answers", setup{}, []step{act(link.drain), answers}, drainedHeard},
		{"we drain, the peer answers over TLS", setup{tls: true}, []step{act(link.drain), answers}, drainedHeard},
		{"we drain, the peer sends FIN", setup{}, []step{act(link.drain), hearClose, fin}, expectation{gorilla: 1006, kind: ending.Drained, codes: asked}},
		{"we drain, the peer is silent", silent, []step{act(link.drain)}, drained},
		{"idle for too long", silent.with(func(o *server.Options) { o.IdleTimeout = grace }), nil, expectation{kind: ending.Idle}},
		{"idle for too long, with pings", silent.with(func(o *server.Options) { o.IdleTimeout = grace }),
			[]step{send(wstest.PingFrame("?")), hear}, expectation{kind: ending.Idle}},
		{"too old", silent.with(func(o *server.Options) { o.MaxAge = grace }), nil, expectation{kind: ending.Aged}},
		{"the read's context is cancelled", canceled, []step{cancelRead}, local},
		{"the read's context is cancelled, in a payload", canceled, []step{part(cut, 6+9), cancelRead}, local},
		{"the read's context has a deadline", deadline, nil, local},
		{"the read's context has a deadline, in a payload", deadline, []step{part(cut, 6+9)}, local},
	}
}

// with is s with another option.
func (s setup) with(option func(*server.Options)) setup {
	before := s.ours
	s.ours = func(o *server.Options) {
		before(o)
		option(o)
	}
	return s
}

// pathCut is a setup for a path that is cut on the way.
var pathCut = setup{
	isolate: true,
	listen:  func(l net.Listener) net.Listener { return each{l, hasty} },
}

// each is a listener that puts something around what it accepts.
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

// inject is a setup whose sockets say err where the stream ends.
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
