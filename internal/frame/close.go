package frame

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// LegalCode reports whether a close frame may carry the code: RFC 6455, section 7.4, and
// later registrations up to 1014.
func LegalCode(c websocket.StatusCode) bool {
	switch c {
	case 1004, websocket.StatusNoStatusRcvd, websocket.StatusAbnormalClosure:
		return false
	}
	return c >= 1000 && c <= 1014 || c >= 3000 && c <= 4999
}

// readClose parses the payload of a close frame. If more is true, the payload is
// incomplete. An incomplete payload can be an error too.
func readClose(masked []byte, key uint32, more bool) (websocket.StatusCode, string, *ending.Error) {
	var p [125]byte
	n := copy(p[:], masked)
	unmask(p[:n], key)
	switch {
	case n < 2 && more:
		return 0, "", nil
	case n == 0:
		return websocket.StatusNoStatusRcvd, "", nil
	case n == 1:
		return 0, "", protocol("close frame of one byte")
	}
	code := websocket.StatusCode(binary.BigEndian.Uint16(p[:]))
	if !LegalCode(code) {
		return 0, "", protocol("close code %d", int(code))
	}
	reason := p[2:n]
	if end, ok := UTF8(reason); !ok || end < len(reason) && !more {
		return 0, "", &ending.Error{Kind: ending.InvalidUTF8, Reason: "close reason is not UTF-8"}
	}
	return code, string(reason), nil
}

// UTF8 reports whether p can be the beginning of a text. p[:end] is UTF-8, and p[end:] is
// empty or an incomplete rune.
func UTF8(p []byte) (end int, ok bool) {
	end = len(p)
	for i := end - 1; i >= 0 && i > end-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				end = i
			}
			break
		}
	}
	return end, utf8.Valid(p[:end])
}
