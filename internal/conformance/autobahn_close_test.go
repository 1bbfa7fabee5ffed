package conformance_test

import (
	"slices"

	"example.com/wsecho/wstest"
)

// closeCases returns the cases of section 7: the closing handshake, close codes and reasons.
func closeCases() []numbered {
	bye := wstest.CloseFrame(1000, "")
	received := text("Hello World!")
	large := text(repeat("BAsd7&jh23", 256<<10))
	two := wstest.Fragments(wstest.Text, "fragment1", "fragment2")
	basic := section("7.1",
		echoed(wstest.Text, "Hello World!", together(received)),
		// The server ignores data after a close frame.
		refused(1000, together(bye, wstest.CloseFrame(0, ""))),
		refused(1000, together(bye, ping(""))),
		refused(1000, together(bye, received)),
		refused(1000, together(two[0], bye, two[1])),
		// The suite accepts any answer here. This server answers frames in order.
		refused(1000, together(large, received, bye, ping("")), large, received),
	)
	reason := func(payload string, code uint16) exchange {
		return refused(code, together(wstest.Frame{Fin: true, Opcode: wstest.Close, Payload: []byte(payload)}))
	}
	sizes := section("7.3",
		reason("", wstest.NoStatus),
		reason("a", 1002),
		reason("\x03\xe8", 1000),
		reason("\x03\xe8Hello World!", 1000),
		reason("\x03\xe8"+stars(123), 1000),
		reason("\x03\xe8"+stars(124), 1002),
	)
	// The suite allows 1002 as well.
	invalid := section("7.5", reason("\x03\xe8"+kosme+"\xed\xa0\x80edited", 1007))
	codes := func(number string, answer func(uint16) uint16, codes ...uint16) []numbered {
		var rows []exchange
		for _, c := range codes {
			rows = append(rows, refused(answer(c), together(wstest.Frame{Fin: true, Opcode: wstest.Close, Payload: []byte{byte(c >> 8), byte(c)}})))
		}
		return section(number, rows...)
	}
	same := func(c uint16) uint16 { return c }
	illegal := func(uint16) uint16 { return 1002 }
	return slices.Concat(basic, sizes, invalid,
		codes("7.7", same, 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999),
		codes("7.9", illegal, 0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999),
		codes("7.13", illegal, 5000, 65535), // the suite accepts any answer
	)
}
