package conformance_test

import (
	"fmt"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// legal reports whether a peer may send the close code. It accepts the codes of RFC 6455,
// section 7.4.1, and the later registrations of the IANA up to 1014. It also accepts the
// ranges for libraries and applications.
func legal(code int) bool {
	switch code {
	case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014:
		return true
	}
	return code >= 3000 && code <= 4999
}

// TestCloseCodes sends all codes from 0 to 5000, and some codes above. The server
// returns a legal code and refuses the others.
func TestCloseCodes(t *testing.T) {
	t.Parallel()
	var codes []int
	for code := range 5001 {
		codes = append(codes, code)
	}
	for code := 5001; code < 65535; code += 977 {
		codes = append(codes, code)
	}
	codes = append(codes, 65535)
	if sampled() {
		defined := codes[999:1017] // the codes of the RFC, and their neighbours
		codes = append(everyNth(codes, 13), defined...)
	}
	url := serve(t, server.Options{})
	sweep(t, codes, func(code int) error {
		answer := uint16(1002)
		if legal(code) {
			answer = uint16(code)
		}
		e := refused(answer, together(wstest.Frame{Fin: true, Opcode: wstest.Close, Payload: []byte{byte(code >> 8), byte(code)}}))
		e.name = fmt.Sprintf("code %d", code)
		return e.with(url, wstest.DialOptions{})
	})
}

// TestCloseReasons sends reasons of all lengths, and reasons with invalid UTF-8.
func TestCloseReasons(t *testing.T) {
	t.Parallel()
	var rows []exchange
	add := func(name string, code uint16, payload string) {
		rows = append(rows, exchange{name: name, steps: []step{together(data(wstest.Close, payload))}, code: code})
	}
	for n := range 124 {
		add(fmt.Sprintf("%d bytes", n), 1001, "\x03\xe9"+stars(n))
	}
	for n := 124; n < 130; n++ {
		add(fmt.Sprintf("%d bytes", n), 1002, "\x03\xe9"+stars(n))
	}
	for _, group := range utf8Table() {
		for _, s := range group {
			code := uint16(1001)
			if !s.valid {
				code = 1007
			}
			add(fmt.Sprintf("%q", s.text), code, "\x03\xe9"+s.text)
			add(fmt.Sprintf("%q before more", s.text), code, "\x03\xe9"+s.text+" and more")
		}
	}
	// The server checks the code before the reason.
	add("illegal code and reason", 1002, "\x03\xed\xff")
	for b := range 256 {
		add(fmt.Sprintf("one byte, %#x", b), 1002, string([]byte{byte(b)}))
	}
	sweep(t, rows, on(serve(t, server.Options{})))
}

// TestAfterClose sends data after a close frame, in the same write and before it reads
// the answer. The server ignores the data (RFC 6455, section 5.5.1).
func TestAfterClose(t *testing.T) {
	t.Parallel()
	bye := wstest.CloseFrame(4321, "bye")
	var rows []exchange
	for name, behind := range map[string][]byte{
		"nothing":                nil,
		"a text":                 wire(text(hello)),
		"a ping":                 wire(ping("?")),
		"the same close":         wire(bye),
		"another close":          wire(wstest.CloseFrame(1001, "again")),
		"an illegal close":       wire(wstest.CloseFrame(1005, "")),
		"reserved bits":          wire(text(hello).WithRsv(7)),
		"a reserved opcode":      wire(data(0xf, hello)),
		"an unmasked frame":      text(hello).Append(nil),
		"half a header":          {0x81},
		"a header that lies":     wstest.Header(0x82, true, key, 1<<62, 64),
		"an invalid text":        wire(text("\xff")),
		"much":                   wire(binary(stars(60 << 10))),
		"a message in the midst": wire(last("b"), text("c")),
	} {
		rows = append(rows,
			exchange{name: name, steps: []step{raw(append(wire(bye), behind...))}, code: 4321},
			exchange{name: name + ", behind a message", steps: []step{raw(append(wire(text("a"), bye), behind...))}, want: []wstest.Frame{text("a")}, code: 4321},
			exchange{name: name + ", inside a message", steps: []step{raw(append(wire(text("a").Open(), bye), behind...))}, code: 4321},
		)
	}
	// The server answers a ping before the close frame.
	rows = append(rows, exchange{name: "ping, close", steps: []step{together(ping("1"), bye)}, want: []wstest.Frame{pong("1")}, code: 4321})
	sweep(t, rows, on(serve(t, server.Options{})))
}
