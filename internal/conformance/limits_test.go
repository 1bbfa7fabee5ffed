package conformance_test

import (
	"fmt"
	"testing"

	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestLimit sends messages at the limit and over it (RFC 6455, section 10.4). The server
// refuses an announced length before it receives the payload.
func TestLimit(t *testing.T) {
	t.Parallel()
	const limit = 1000
	rows := []exchange{
		{name: "at the limit", steps: []step{together(text(stars(limit)))}, want: []wstest.Frame{text(stars(limit))}},
		{name: "one over it", steps: []step{together(text(stars(limit + 1)))}, code: 1009},
		{name: "one over it after one at the limit", steps: []step{together(text(stars(limit)), text(stars(limit+1)))}, want: []wstest.Frame{text(stars(limit))}, code: 1009},
		{name: "two at the limit", steps: []step{together(text(stars(limit)), text(stars(limit)))}, want: []wstest.Frame{text(stars(limit)), text(stars(limit))}},
		{name: "fragments at the limit", steps: []step{together(pieces(wstest.Text, stars(limit), 10)...)}, want: []wstest.Frame{text(stars(limit))}},
		{name: "fragments over it", steps: []step{together(pieces(wstest.Text, stars(limit+1), 10)...)}, code: 1009},
		{name: "the last fragment announced", steps: []step{together(text(stars(limit)).Open()), raw(wstest.Header(0x80, true, key, 1, 0)), closing}, code: 1009},
		{name: "a ping at the limit", steps: []step{together(text(stars(limit)).Open(), ping("?"), last(""))}, want: []wstest.Frame{pong("?"), text(stars(limit))}},
	}
	for _, n := range []uint64{limit + 1, 65535, 1 << 20, 1 << 31, 1 << 32, 1 << 40, 1 << 62, 1<<63 - 1} {
		for _, first := range []byte{0x81, 0x01, 0x82, 0x02} {
			rows = append(rows, exchange{
				name:  fmt.Sprintf("%d announced, first byte %#x", n, first),
				steps: []step{raw(wstest.Header(first, true, key, n, 0)), closing},
				code:  1009,
			})
		}
	}
	for _, n := range []uint64{1 << 63, 1<<64 - 1} { // section 5.2: the top bit is 0
		rows = append(rows, exchange{
			name:  fmt.Sprintf("%d announced", n),
			steps: []step{raw(wstest.Header(0x82, true, key, n, 64)), closing},
			code:  1002,
		})
	}
	sweep(t, rows, on(serve(t, server.Options{ReadLimit: limit})))
}

// TestLarge sends messages of 16 MiB whole, in fragments and in chops. It sends messages
// of 4 MiB in fragments of 64 bytes and with pings in between. By default the sizes are
// 4 and 1 MiB.
func TestLarge(t *testing.T) {
	t.Parallel()
	url := serve(t, server.Options{})
	large := testfull.N(1<<20, 4<<20)
	for _, opcode := range []byte{wstest.Text, wstest.Binary} {
		for _, tt := range []struct {
			name  string
			size  int
			steps func(s string) step
		}{
			{"whole", 4 * large, func(s string) step { return together(data(opcode, s)) }},
			{"fragments of 65536", 4 * large, func(s string) step { return together(pieces(opcode, s, 65536)...) }},
			{"fragments of 1000", 4 * large, func(s string) step { return together(pieces(opcode, s, 1000)...) }},
			{"fragments of 64", large, func(s string) step { return together(pieces(opcode, s, 64)...) }},
			{"chops of 16381", 4 * large, func(s string) step { return chopped(16381, data(opcode, s)) }},
		} {
			t.Run(fmt.Sprintf("opcode %d/%s", opcode, tt.name), func(t *testing.T) {
				t.Parallel()
				s := repeat("BAsd7&jh23", tt.size)
				if err := echoed(opcode, s, tt.steps(s)).with(url, wstest.DialOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		t.Run(fmt.Sprintf("opcode %d/pings in between", opcode), func(t *testing.T) {
			t.Parallel()
			s := repeat("BAsd7&jh23", large)
			var steps, want []wstest.Frame
			for i, f := range pieces(opcode, s, 64<<10) {
				steps = append(steps, ping(fmt.Sprint(i)), f)
				want = append(want, pong(fmt.Sprint(i)))
			}
			e := exchange{steps: []step{together(steps...)}, want: append(want, data(opcode, s))}
			if err := e.with(url, wstest.DialOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}
