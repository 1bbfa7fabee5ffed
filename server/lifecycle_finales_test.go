package server_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/wstest"
)

func (p *plan) leave(name string, w want, do func(a *actor)) {
	p.wants = append(p.wants, w)
	p.last = &finale{name: name, do: do}
}

// codeAfterRefusal is the close code of a peer that continues after the server refused it.
const codeAfterRefusal = 4999

// refused returns a finale that the server refuses: raw bytes, perhaps followed by
// more.
func (p *plan) refused(r *rand.Rand, name string, w want, partial int, b []byte) {
	more := r.IntN(3) == 0
	p.leave(name, w, func(a *actor) {
		a.violate(partial, func(peer *wstest.Peer) {
			_ = peer.SendRaw(b)
			if more {
				_ = peer.Send(wstest.TextFrame("after it"), wstest.CloseFrame(codeAfterRefusal, ""), wstest.BinaryFrame(make([]byte, 300_000)))
			}
		})
	})
}

// finales lists the ways in which a peer leaves.
var finales = []func(p *plan, r *rand.Rand){
	func(p *plan, r *rand.Rand) { // a close frame
		code := []uint16{0, 1000, 1001, 1003, 1011, 1014, 3000, 4999}[r.IntN(8)]
		reason, then := "", r.IntN(3)
		if code != 0 && r.IntN(2) == 0 {
			reason = "the peer's reason"
		}
		wire := code
		if code == 0 {
			wire = wstest.NoStatus
		}
		kind := ending.PeerCode
		switch code {
		case 0, 1000:
			kind = ending.Normal
		case 1001:
			kind = ending.GoingAway
		}
		w := want{kind: kind, code: websocket.StatusCode(wire), reason: reason, wire: wire}
		p.leave(fmt.Sprintf("close %d, then %d", code, then), w, func(a *actor) {
			a.close(code, reason, false)
			switch then {
			case 1:
				a.violate(0, func(p *wstest.Peer) { _ = p.FIN() })
			case 2:
				a.violate(0, func(p *wstest.Peer) { _ = p.Send(wstest.TextFrame("too late"), wstest.CloseFrame(4000, "")) })
			}
		})
	},
	func(p *plan, r *rand.Rand) { // an illegal close frame
		bad := []struct {
			kind ending.Kind
			body []byte
			says string
		}{
			{ending.Protocol, []byte{3}, "close frame of one byte"},
			{ending.Protocol, wstest.CloseBody(999, ""), "close code 999"},
			{ending.Protocol, wstest.CloseBody(1005, ""), "close code 1005"},
			{ending.Protocol, wstest.CloseBody(5000, "x"), "close code 5000"},
			{ending.Protocol, wstest.CloseBody(1000, string(make([]byte, 124))), "control frame over 125 bytes"},
			{ending.InvalidUTF8, wstest.CloseBody(1000, "\xc3"), "close reason is not UTF-8"},
		}[r.IntN(6)]
		f := wstest.Frame{Fin: true, Opcode: wstest.Close, Payload: bad.body}.WithKey([4]byte{1, 2, 3, 4})
		p.refused(r, "close "+bad.says, from(&ending.Error{Kind: bad.kind, Reason: bad.says}), 0, f.Append(nil))
	},
	func(p *plan, r *rand.Rand) { // an illegal frame
		key := [4]byte{9, 8, 7, 6}
		text := wstest.TextFrame("bad").WithKey(key)
		open := text.Open()
		bad := []struct {
			says    string
			b       []byte
			partial int
		}{
			{"reserved bit set", text.WithRsv(wstest.RSV2).Append(nil), 0},
			{"reserved bit set", text.WithRsv(wstest.RSV1).Append(nil), 0},
			{"reserved opcode 0x3", wstest.Frame{Fin: true, Opcode: 3}.WithKey(key).Append(nil), 0},
			{"reserved opcode 0xf", wstest.Frame{Fin: true, Opcode: 15}.WithKey(key).Append(nil), 0},
			{"unmasked frame", wstest.TextFrame("bad").Append(nil), 0},
			{"fragmented control frame", wstest.PingFrame("bad").Open().WithKey(key).Append(nil), 0},
			{"control frame over 125 bytes", wstest.PingFrame(string(make([]byte, 126))).WithKey(key).Append(nil), 0},
			{"continuation without a message", wstest.Frame{Fin: true}.WithKey(key).Append(nil), 0},
			{"new message inside another", text.Append(open.Append(nil)), 3},
			{"length with the top bit set", wstest.Header(0x82, true, key, 1<<63, 64), 0},
			{"length not in its shortest form", append(wstest.Header(0x82, true, key, 5, 16), "12345"...), 0},
		}[r.IntN(11)]
		p.refused(r, bad.says, from(&ending.Error{Kind: ending.Protocol, Reason: bad.says}), bad.partial, bad.b)
	},
	func(p *plan, r *rand.Rand) { // a text with invalid UTF-8
		w := from(&ending.Error{Kind: ending.InvalidUTF8, Reason: "text is not UTF-8"})
		w.more = 2 // this message and the next may be complete, because the server validates text when it reads it
		b := [][]byte{
			wstest.TextFrame("\xff").WithKey([4]byte{5}).Append(nil),
			wstest.TextFrame("half a rune \xc3").WithKey([4]byte{5}).Append(nil),
			append(wstest.Header(0x81, true, [4]byte{}, 1000, 0), "not all is here \xc0"...),
			wstest.Frame{Opcode: wstest.Text, Payload: []byte("\xe2"), Masked: true}.Append(nil),
		}
		b[3] = wstest.Frame{Payload: []byte("x"), Masked: true}.Append(b[3])
		p.refused(r, "invalid UTF-8", w, 1000, b[r.IntN(len(b))])
	},
	func(p *plan, r *rand.Rand) { // a message over the read limit
		w := from(&ending.Error{Kind: ending.TooBig, Reason: fmt.Sprintf("message over %d bytes", lifeLimit)})
		if r.IntN(2) == 0 {
			p.refused(r, "2^40 bytes", w, 0, wstest.Header(0x82, true, [4]byte{}, 1<<40, 64))
			return
		}
		b := wstest.BinaryFrame(make([]byte, lifeLimit)).Open().WithKey([4]byte{5}).Append(nil)
		p.refused(r, "over the limit", w, lifeLimit, wstest.Frame{Fin: true, Masked: true, Payload: []byte{1}}.Append(b))
	},
	func(p *plan, r *rand.Rand) { // too many fragments
		b := wstest.TextFrame("").Open().WithKey([4]byte{}).Append(nil)
		b = append(b, bytes.Repeat(wstest.Frame{Masked: true}.Append(nil), 1100)...)
		p.refused(r, "empty fragments", from(&ending.Error{Kind: ending.Flood, Reason: "message in too many fragments"}), 0, b)
	},
	func(p *plan, r *rand.Rand) { // FIN
		b := [][]byte{nil, {0x81}, wstest.TextFrame("some").Open().WithKey([4]byte{}).Append(nil),
			append(wstest.Header(0x82, true, [4]byte{}, 1000, 0), "some"...)}
		i := r.IntN(len(b))
		partial := []int{0, 0, 4, 4}[i]
		cut := p.tls && r.IntN(2) == 0 // without close_notify
		p.leave(fmt.Sprintf("FIN after %d bytes, cut: %v", len(b[i]), cut), want{kind: ending.Abnormal}, func(a *actor) {
			a.violate(partial, func(peer *wstest.Peer) {
				if len(b[i]) > 0 {
					_ = peer.SendRaw(b[i])
				}
				if cut {
					_ = peer.CutTLS()
				} else {
					_ = peer.FIN()
				}
			})
		})
	},
	func(p *plan, r *rand.Rand) { // RST
		// Before the first echo net/http, which is about to hand the connection over,
		// may receive the reset.
		p.await = true
		p.leave("RST", want{kind: ending.Reset, rst: true}, func(a *actor) {
			a.violate(0, func(p *wstest.Peer) { _ = p.RST() })
		})
	},
	func(p *plan, r *rand.Rand) { // an incomplete TLS record
		if !p.tls {
			p.tls = true
		}
		p.leave("a cut record", want{kind: ending.Truncated}, func(a *actor) {
			a.violate(0, func(peer *wstest.Peer) {
				_, _ = tcpOf(peer).Write([]byte{23, 3, 3, 0, 200, 1, 2, 3})
				_ = peer.CutTLS()
			})
		})
	},
	func(p *plan, r *rand.Rand) { // half a message, then nothing
		p.opts.MessageTimeout = time.Duration(1+r.IntN(20)) * time.Millisecond
		b := [][]byte{{0x81}, wstest.TextFrame("some").Open().WithKey([4]byte{}).Append(nil), append(wstest.Header(0x82, true, [4]byte{}, 1000, 0), "some"...)}
		i := r.IntN(len(b))
		w := from(&ending.Error{Kind: ending.TooSlow, Reason: fmt.Sprintf("message took longer than %v", p.opts.MessageTimeout)})
		w.timed = true
		p.leave("half a message", w, func(a *actor) {
			a.violate([]int{0, 4, 4}[i], func(p *wstest.Peer) { _ = p.SendRaw(b[i]) })
		})
	},
	func(p *plan, r *rand.Rand) { // endless messages, without reading the echoes
		p.opts.WriteTimeout = time.Duration(20+r.IntN(100)) * time.Millisecond
		p.notReading, p.answers, p.await, p.rcvBuf, p.steps = true, false, false, 4096, nil
		b := payload(r, 100_000)
		p.leave("a flood that reads nothing", want{kind: ending.WriteStalled, timed: true, rst: true}, func(a *actor) {
			for n := a.sure; ; n++ {
				a.send(wstest.Binary, append(b, "and no empty ones"...))
				if a.sure == n {
					return
				}
			}
		})
	},
}

// tcpOf returns the TCP connection under TLS.
func tcpOf(p *wstest.Peer) net.Conn {
	return p.NetConn().(interface{ NetConn() net.Conn }).NetConn()
}
