package conformance_test

import (
	"fmt"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// on returns a function for sweep that runs each exchange with this server.
func on(url string) func(exchange) error {
	return func(e exchange) error { return e.with(url, wstest.DialOptions{}) }
}

// TestLengths sends every form of a length with the smallest and largest lengths. Only
// the shortest form is legal (RFC 6455, section 5.2).
func TestLengths(t *testing.T) {
	t.Parallel()
	most := map[int]int{7: 125, 16: 65535, 64: 1 << 30}
	least := map[int]int{7: 0, 16: 126, 64: 65536}
	var rows []exchange
	for _, opcode := range []byte{wstest.Text, wstest.Binary} {
		for _, n := range []int{0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 131071, 1 << 20} {
			for _, bits := range []int{7, 16, 64} {
				if n > most[bits] {
					continue
				}
				e := echoed(opcode, stars(n), raw(framed(0x80|opcode, stars(n), bits)))
				if n < least[bits] {
					e = refused(1002, raw(framed(0x80|opcode, stars(n), bits)))
				}
				e.name = fmt.Sprintf("opcode %d, %d bytes in %d bits", opcode, n, bits)
				rows = append(rows, e)
			}
		}
	}
	sweep(t, rows, on(serve(t, server.Options{})))
}

// framed returns a frame whose length may have a longer form than necessary.
func framed(first byte, payload string, bits int) []byte {
	b := wstest.Header(first, true, key, uint64(len(payload)), bits)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i&3])
	}
	return b
}

// TestControlFrames sends pings, pongs and close frames of every length (RFC 6455, section
// 5.5). It also sends them in fragments, and with the long forms of a short length.
func TestControlFrames(t *testing.T) {
	t.Parallel()
	reason := func(n int) string { // of a close frame of n bytes; a close frame of one byte is illegal
		if n < 2 {
			return ""
		}
		return "\x03\xe8" + stars(n-2)
	}
	var rows []exchange
	add := func(name string, e exchange) {
		e.name = name
		rows = append(rows, e)
	}
	for n := range 126 {
		add(fmt.Sprintf("ping of %d", n), exchange{steps: []step{together(ping(stars(n)))}, want: []wstest.Frame{pong(stars(n))}})
		add(fmt.Sprintf("pong of %d", n), exchange{steps: []step{together(pong(stars(n)))}})
		if n >= 2 {
			add(fmt.Sprintf("close of %d", n), refused(1000, together(data(wstest.Close, reason(n)))))
		}
	}
	add("close of 0", refused(wstest.NoStatus, together(data(wstest.Close, ""))))
	add("close of 1", refused(1002, together(data(wstest.Close, "\x03"))))
	for _, opcode := range []byte{wstest.Close, wstest.Ping, wstest.Pong} {
		for _, n := range []int{126, 127, 128, 1000, 65535, 65536} {
			add(fmt.Sprintf("opcode %#x of %d", opcode, n), refused(1002, together(data(opcode, reason(n)))))
		}
		for _, n := range []int{0, 2, 125} {
			add(fmt.Sprintf("opcode %#x of %d, without FIN", opcode, n), refused(1002, together(data(opcode, reason(n)).Open())))
			for _, bits := range []int{16, 64} {
				add(fmt.Sprintf("opcode %#x of %d in %d bits", opcode, n, bits), refused(1002, raw(framed(0x80|opcode, reason(n), bits))))
			}
		}
		add(fmt.Sprintf("opcode %#x in fragments in a message", opcode),
			refused(1002, together(text("a").Open(), data(opcode, "").Open(), last(""), last("b"))))
	}
	add("ping that is no text", exchange{steps: []step{together(ping("\xff\x00\xc0"))}, want: []wstest.Frame{pong("\xff\x00\xc0")}})
	sweep(t, rows, on(serve(t, server.Options{})))
}

// TestFirstBytes sends every first byte of a frame: FIN, the reserved bits, all opcodes.
// The frame is the first of its connection, or inside a message.
func TestFirstBytes(t *testing.T) {
	t.Parallel()
	var rows []exchange
	for inside := range 2 {
		for first := range 256 {
			rows = append(rows, firstByte(byte(first), inside == 1))
		}
	}
	sweep(t, rows, on(serve(t, server.Options{})))
}

// firstByte returns the exchange for a frame that begins with this byte and has no
// payload, without extensions. The frame is inside a message or between messages.
func firstByte(first byte, inside bool) exchange {
	fin, rsv, opcode := first&0x80 != 0, first>>4&7, first&0xf
	f := wstest.Frame{Fin: fin, Rsv: rsv, Opcode: opcode}
	frames := []wstest.Frame{f}
	if inside {
		frames = []wstest.Frame{text("a").Open(), f}
	}
	e := exchange{name: fmt.Sprintf("first byte %#x, inside a message: %t", first, inside)}
	message := inside
	switch {
	case rsv != 0:
		e.code = 1002
	case opcode == wstest.Continuation && inside:
		message = !fin
	case (opcode == wstest.Text || opcode == wstest.Binary) && !inside:
		message = !fin
		if fin {
			e.want = append(e.want, data(opcode, ""))
		}
	case opcode == wstest.Close && fin:
		e.code = wstest.NoStatus
	case opcode == wstest.Ping && fin:
		e.want = append(e.want, pong(""))
	case opcode == wstest.Pong && fin:
	default:
		e.code = 1002
	}
	if e.code == 0 {
		switch {
		case message && inside:
			frames = append(frames, last("z"))
			e.want = append(e.want, text("az"))
		case message:
			frames = append(frames, last("z"))
			e.want = append(e.want, data(opcode, "z"))
		case inside:
			e.want = append(e.want, text("a"))
		}
	}
	e.steps = []step{together(frames...)}
	return e
}

// TestMasks sends unmasked frames, which the server always refuses, and masked frames
// with unusual keys (RFC 6455, section 5.3).
func TestMasks(t *testing.T) {
	t.Parallel()
	var rows []exchange
	bare := func(f wstest.Frame) []byte { return f.Append(nil) }
	for _, f := range []wstest.Frame{
		text(""), text(hello), binary(hello), text(repeat("x", 126)), text(repeat("x", 65536)),
		text(hello).Open(), last(hello), ping(""), ping(hello), pong(hello), wstest.CloseFrame(0, ""), wstest.CloseFrame(1000, "bye"),
	} {
		rows = append(rows,
			exchange{name: "unmasked " + f.String(), steps: []step{raw(bare(f))}, code: 1002},
			exchange{
				name:  "unmasked after a masked frame: " + f.String(),
				steps: []step{together(text("first")), raw(bare(f))},
				want:  []wstest.Frame{text("first")}, code: 1002,
			})
	}
	rows = append(rows, exchange{
		name:  "unmasked second fragment",
		steps: []step{together(text("a").Open()), raw(bare(last("b")))}, code: 1002,
	})
	for _, k := range [][4]byte{{}, {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 1}, {1, 0, 0, 0}, {0x81, 0x85, 0x88, 0x80}} {
		for n := range 9 {
			s := "\x00\xff12345678"[:n]
			rows = append(rows, exchange{
				name: fmt.Sprintf("key %x, %d bytes", k, n),
				// Each frame has another key, and the server's reads end inside a key.
				steps: []step{apart(binary(s).Open().WithKey(k), more(s)), chopped(3, last(s).WithKey(k))},
				want:  []wstest.Frame{binary(s + s + s)},
			})
		}
	}
	sweep(t, rows, on(serve(t, server.Options{})))
}
