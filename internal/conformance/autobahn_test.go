package conformance_test

import (
	"slices"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/conformance"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A numbered is a case of the Autobahn suite. Its exchange requires the answer that the
// suite calls strict. If the suite accepts any answer or several codes, the exchange
// requires the answer that this server chose.
type numbered struct {
	number string
	make   func() exchange // called when the case runs, because some need megabytes
	offer  string          // Sec-WebSocket-Extensions; "": no header
}

// TestAutobahn runs each case as a subtest with the case's number.
func TestAutobahn(t *testing.T) {
	t.Parallel()
	plain := serve(t, server.Options{})
	compressing := serve(t, server.Options{Compression: websocket.CompressionContextTakeover})
	for _, c := range autobahn() {
		t.Run(c.number, func(t *testing.T) {
			t.Parallel()
			url := plain
			if c.offer != "" {
				url = compressing
			}
			if err := c.make().with(url, wstest.DialOptions{Extensions: c.offer}); err != nil {
				t.Error(err)
			}
		})
	}
}

// autobahn returns all cases.
func autobahn() []numbered {
	return slices.Concat(frameCases(), controlCases(), reservedCases(), fragmentCases(), utf8Cases(), closeCases(), massCases(), deflateCases())
}

// TestAutobahnIsWhole compares the cases with the list of their numbers.
func TestAutobahnIsWhole(t *testing.T) {
	var want, got []string
	for _, s := range conformance.Sections() {
		want = append(want, s.Numbers()...)
	}
	for _, c := range autobahn() {
		got = append(got, c.number)
	}
	if len(want) != 517 {
		t.Errorf("the list has %d numbers, want 517", len(want))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d cases, want the %d cases of the list, in its order", len(got), len(want))
		for i := range max(len(got), len(want)) {
			if g, w := at(got, i), at(want, i); g != w {
				t.Fatalf("the first difference: got %s, want %s", g, w)
			}
		}
	}
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return "none"
}

// section returns the exchanges as the numbered cases of a section.
func section(number string, rows ...exchange) []numbered {
	return lazily(number, len(rows), func(i int) exchange { return rows[i] })
}

// lazily returns a section of n cases. A case calls row when it runs.
func lazily(number string, n int, row func(i int) exchange) []numbered {
	cases := make([]numbered, n)
	s := conformance.Section{Number: number, Cases: n}
	for i, number := range s.Numbers() {
		cases[i] = numbered{number: number, make: func() exchange { return row(i) }}
	}
	return cases
}

// echoed returns an exchange in which the server echoes the message.
func echoed(opcode byte, payload string, steps ...step) exchange {
	return exchange{steps: steps, want: []wstest.Frame{data(opcode, payload)}}
}

// refused returns an exchange that ends with the code after the replies in want.
func refused(code uint16, steps step, want ...wstest.Frame) exchange {
	return exchange{steps: []step{steps}, want: want, code: code}
}
