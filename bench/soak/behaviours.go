package soak

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"example.com/wsecho/wstest"
)

// These are the server's limits. A peer reaches each limit within seconds. If the machine
// pauses for two seconds, no connection reaches a limit.
const (
	readLimit      = 2 << 20
	messageTimeout = 3 * time.Second
	writeTimeout   = 3 * time.Second
	pingInterval   = 3 * time.Second
	pingTimeout    = 3 * time.Second
	maxMissed      = 1
	closeTimeout   = 3 * time.Second
)

// Flags returns the flags of wsecho for a soak. compression is the value of its flag.
func Flags(compression string) []string {
	return []string{
		"--addr=127.0.0.1:0", "--admin-addr=off", "--log-format=json", "--compression=" + compression,
		fmt.Sprint("--read-limit=", readLimit), fmt.Sprint("--message-timeout=", messageTimeout),
		fmt.Sprint("--write-timeout=", writeTimeout), fmt.Sprint("--ping-interval=", pingInterval),
		fmt.Sprint("--ping-timeout=", pingTimeout), fmt.Sprint("--max-missed=", maxMissed),
		fmt.Sprint("--close-timeout=", closeTimeout),
	}
}

// A behaviour is one kind of peer. An error describes a fault of the server.
type behaviour struct {
	name    string
	weight  int
	deflate bool // it may offer permessage-deflate
	rcvBuf  int
	do      func(v *visit) (Want, error)
}

var behaviours = []behaviour{
	{name: "correct peer", weight: 30, deflate: true, do: func(v *visit) (Want, error) {
		for range 1 + v.r.IntN(20) {
			if err := v.exchange(v.opcode(), v.payload(v.size())); err != nil {
				return Want{}, err
			}
		}
		reason := ""
		if v.r.IntN(2) == 0 {
			reason = "finished\n"
		}
		return v.closeWith([]uint16{0, 1000, 1001, 1011, 3000, 4999}[v.r.IntN(6)], reason)
	}},
	{name: "fragments and pings", weight: 12, deflate: true, do: func(v *visit) (Want, error) {
		for range 1 + v.r.IntN(6) {
			var parts [][]byte
			for range 1 + v.r.IntN(10) {
				parts = append(parts, v.payload(v.r.IntN(3000)))
			}
			for _, f := range v.frames(v.opcode(), parts...) {
				if err := errors.Join(v.p.Send(f), v.ping()); err != nil {
					return Want{}, err
				}
			}
			if err := v.readEchoes(); err != nil {
				return Want{}, err
			}
		}
		return v.closeWith(1000, "")
	}},
	{name: "16 in flight", weight: 15, deflate: true, do: func(v *visit) (Want, error) {
		n := []int{5, 100, 4 << 10, 16 << 10}[v.r.IntN(4)]
		for range 1 + v.r.IntN(20) {
			var all []wstest.Frame
			for range 16 {
				all = append(all, v.frames(v.opcode(), v.payload(n))...)
			}
			if err := errors.Join(v.p.Send(all...), v.readEchoes()); err != nil {
				return Want{}, err
			}
		}
		return v.closeWith(1000, "")
	}},
	{name: "slow reader", weight: 2, rcvBuf: 16 << 10, do: func(v *visit) (Want, error) {
		v.slow.Store(true)
		for range 3 {
			if err := v.send(wstest.Binary, v.payload(1<<20)); err != nil {
				return Want{}, err
			}
			if err := v.readEcho(); err != nil {
				return Want{}, err
			}
		}
		return v.closeWith(1000, "")
	}},
	{name: "byte by byte", weight: 2, do: func(v *visit) (Want, error) {
		var b []byte
		for range 3 {
			for _, f := range v.frames(v.opcode(), v.payload(v.r.IntN(150))) {
				b = f.WithKey([4]byte{1, 2, 3, 4}).Append(b)
			}
		}
		for i := range b { // without pauses, which would take seconds in total
			if err := v.p.SendRaw(b[i : i+1]); err != nil {
				return Want{}, err
			}
		}
		if err := v.readEchoes(); err != nil {
			return Want{}, err
		}
		return v.closeWith(1001, "")
	}},
	{name: "close after messages", weight: 8, do: func(v *visit) (Want, error) {
		var all []wstest.Frame
		for range v.r.IntN(20) {
			all = append(all, v.frames(v.opcode(), v.payload(v.r.IntN(1000)))...)
		}
		all = append(all, wstest.CloseFrame(4321, "at once"), wstest.TextFrame("too late"))
		if err := errors.Join(v.p.Send(all...), v.readEchoes()); err != nil {
			return Want{}, err
		}
		w := v.want("peer code", "peer")
		w.Code, w.Sent, w.Received = 4321, 4321, 4321
		return w, v.end(4321)
	}},
	{name: "half-close after messages", weight: 8, do: func(v *visit) (Want, error) {
		for range 1 + v.r.IntN(20) {
			if err := v.send(v.opcode(), v.payload(v.r.IntN(5000))); err != nil {
				return Want{}, err
			}
		}
		if err := errors.Join(v.p.FIN(), v.readEchoes()); err != nil {
			return Want{}, err
		}
		return v.want("abnormal", "peer"), v.end(0)
	}},
	{name: "FIN inside a message", weight: 8, do: func(v *visit) (Want, error) {
		if err := v.exchangeSome(); err != nil {
			return Want{}, err
		}
		open := wstest.TextFrame("half a message").Open().WithKey([4]byte{1, 2, 3, 4}).Append(nil)
		half := append(wstest.Header(0x82, true, [4]byte{}, 1000, 0), make([]byte, 500)...)
		header := wstest.Header(0x82, true, [4]byte{}, 70_000, 0)[:1+v.r.IntN(13)]
		b := [][]byte{open, half, header}[v.r.IntN(3)]
		if err := errors.Join(v.p.SendRaw(b), v.p.FIN()); err != nil {
			return Want{}, err
		}
		w := v.want("abnormal", "peer")
		w.BytesIn = Any
		return w, v.end(0)
	}},
	{name: "RST", weight: 8, do: func(v *visit) (Want, error) {
		if err := v.exchangeSome(); err != nil {
			return Want{}, err
		}
		w := v.want("reset", "peer")
		if v.r.IntN(2) == 0 { // inside a message
			b := append(wstest.Header(0x82, true, [4]byte{}, 10_000, 0), make([]byte, 5000)...)
			if err := v.p.SendRaw(b); err != nil {
				return Want{}, err
			}
			w.BytesIn = Any
		}
		return w, v.p.RST()
	}},
	{name: "protocol violation", weight: 8, do: func(v *visit) (Want, error) {
		key := [4]byte{1, 2, 3, 4}
		text := wstest.TextFrame("bad").WithKey(key)
		return v.violate("protocol", 1002, [][]byte{
			text.WithRsv(wstest.RSV2).Append(nil),
			wstest.Frame{Fin: true, Opcode: 5}.WithKey(key).Append(nil),
			wstest.TextFrame("unmasked").Append(nil),
			wstest.PingFrame("x").Open().WithKey(key).Append(nil),
			wstest.PingFrame(string(make([]byte, 126))).WithKey(key).Append(nil),
			wstest.Frame{Fin: true}.WithKey(key).Append(nil),
			text.Append(text.Open().Append(nil)),
			wstest.Header(0x82, true, key, 1<<63, 64),
			wstest.CloseFrame(1005, "").WithKey(key).Append(nil),
			wstest.Frame{Fin: true, Opcode: wstest.Close, Payload: []byte{1}}.WithKey(key).Append(nil),
		}[v.r.IntN(10)])
	}},
	{name: "invalid UTF-8", weight: 4, do: func(v *visit) (Want, error) {
		w, err := v.violate("invalid utf-8", 1007, [][]byte{
			wstest.TextFrame("\xff").WithKey([4]byte{1, 2, 3, 4}).Append(nil),
			append(wstest.Header(0x81, true, [4]byte{}, 100_000, 0), "not all is here \xed\xa0"...),
			wstest.CloseFrame(1000, "\xc3").WithKey([4]byte{1, 2, 3, 4}).Append(nil),
		}[v.r.IntN(3)])
		w.MessagesIn = Any // the text may have been complete
		return w, err
	}},
	{name: "too big", weight: 4, do: func(v *visit) (Want, error) {
		return v.violate("too big", 1009, wstest.Header(0x82, true, [4]byte{}, []uint64{readLimit + 1, 1 << 40}[v.r.IntN(2)], 64))
	}},
	{name: "tiny fragments", weight: 2, do: func(v *visit) (Want, error) {
		b := wstest.TextFrame("").Open().WithKey([4]byte{}).Append(nil)
		return v.violate("flood", 1008, append(b, bytes.Repeat(wstest.Frame{Masked: true}.Append(nil), 1100)...))
	}},
	{name: "half a message", weight: 2, do: func(v *visit) (Want, error) {
		i := v.r.IntN(3)
		v.insideMessage = i == 0 // answered pings do not extend the message timeout
		return v.violate("too slow", 1008, [][]byte{
			wstest.TextFrame("x").Open().WithKey([4]byte{}).Append(nil),
			{0x81},
			append(wstest.Header(0x82, true, [4]byte{}, 10_000, 0), make([]byte, 5000)...),
		}[i])
	}},
	{name: "silent peer", weight: 2, do: func(v *visit) (Want, error) {
		if err := v.exchangeSome(); err != nil {
			return Want{}, err
		}
		silentSince := time.Now()
		e, err := v.p.End(stepTimeout)
		if bound := (maxMissed+1)*pingInterval + pingTimeout + closeTimeout + 5*time.Second; err == nil && time.Since(silentSince) > bound {
			err = fmt.Errorf("a silent peer stayed connected for %v", time.Since(silentSince))
		}
		if err == nil && e.Code != 1001 {
			err = fmt.Errorf("the end of a silent peer's connection is %v", e)
		}
		w := v.want("no pong", "local")
		w.Code, w.Sent = 1001, 1001
		return w, err
	}},
	{name: "peer that does not read", weight: 1, rcvBuf: 4 << 10, do: func(v *visit) (Want, error) {
		if err := v.exchangeSome(); err != nil {
			return Want{}, err
		}
		start := time.Now()
		b := v.payload(8 << 10)
		for v.p.Send(wstest.BinaryFrame(b)) == nil {
			if time.Since(start) > 2*stepTimeout {
				return Want{}, errors.New("the server still reads messages, but the peer reads no echo")
			}
		}
		// The peer's kernel may drop segments because its buffer is full. Then the server
		// may wait for the rest of a message instead.
		w, slow := v.want("write stalled", "local"), v.refused("too slow", 1008)
		for _, w := range []*Want{&w, &slow} {
			w.Sent, w.MessagesIn, w.MessagesOut, w.BytesIn, w.BytesOut = Any, Any, Any, Any, Any
		}
		w.Sent = 0
		w.Or = &slow
		return w, nil
	}},
	{name: "FIN below TLS", weight: 4, do: func(v *visit) (Want, error) {
		if err := v.exchangeSome(); err != nil {
			return Want{}, err
		}
		tlsConn, ok := v.p.NetConn().(interface{ NetConn() net.Conn })
		if !ok { // without TLS the peer sends FIN
			return v.want("abnormal", "peer"), errors.Join(v.p.FIN(), v.end(0))
		}
		w := v.want("abnormal", "peer")
		if v.r.IntN(2) == 0 { // inside a record
			w = v.want("truncated", "network")
			record := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, 500)
			if _, err := tlsConn.NetConn().Write(append(record, "no more"...)); err != nil {
				return w, err
			}
		}
		return w, errors.Join(v.p.CutTLS(), v.end(0))
	}},
}

// exchangeSome exchanges a few messages. Afterwards the server has accepted the connection.
func (v *visit) exchangeSome() error {
	for range 1 + v.r.IntN(3) {
		if err := v.exchange(v.opcode(), v.payload(v.r.IntN(500))); err != nil {
			return err
		}
	}
	return nil
}

// violate sends some messages and then, without a pause, bytes that the server refuses.
func (v *visit) violate(kind string, code int, b []byte) (Want, error) {
	var all []byte
	for range 1 + v.r.IntN(10) {
		for _, f := range v.frames(v.opcode(), v.payload(v.r.IntN(500))) {
			all = f.WithKey([4]byte{5, 6, 7, 8}).Append(all)
		}
	}
	v.cannotSend = !v.insideMessage
	if err := errors.Join(v.p.SendRaw(append(all, b...)), v.readEchoes()); err != nil {
		return Want{}, err
	}
	return v.refused(kind, code), v.end(uint16(code))
}
