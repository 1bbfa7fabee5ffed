package conformance_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"example.com/wsecho/wstest"
)

// squeezed returns a compressed message in one frame. The argument is hexadecimal.
func squeezed(opcode byte, digits string) wstest.Frame {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic(err)
	}
	return wstest.Frame{Fin: true, Rsv: wstest.RSV1, Opcode: opcode, Payload: b}
}

// whole is the compressed "Hello".
const whole = "f248cdc9c90700"

// deflated lists compressed messages and their payloads: the examples of RFC 7692,
// section 7.2.3, and other legal forms.
var deflated = []struct{ name, digits, want string }{
	{"one block", whole, "Hello"},
	{"a stored block", "00 0500 faff 48656c6c6f 00", "Hello"},
	{"a final block", "f348cdc9c9070000", "Hello"},
	{"two blocks", "f24805000000ffff cac9c90700", "Hello"},
	{"an empty message", "00", ""},
	{"an empty message of one empty fixed block", "0200", ""},
	{"an empty final block", "030000", ""},
	{"a final stored block", "01 0500 faff 48656c6c6f 00", "Hello"},
	{"final blocks", "f348cdc9c90700 f348cdc9c90700 00", "HelloHello"},
	{"an empty stored block before", "000000ffff " + whole, "Hello"},
	{"empty stored blocks behind", "f248cdc9c907000000ffff000000ffff00", "Hello"},
	{"a reference", "4a4c84010000", "aaaaaaaaaa"},
	{"a stored block that ends as a message does", "00 0400 fbff 0000ffff 00", "\x00\x00\xff\xff"},
}

// corrupt lists messages that every inflater must refuse.
var corrupt = map[string]string{
	"a block of type 3":                     "06",
	"a stored block of another length":      "00 0500 0000 48656c6c6f 00",
	"a stored block that swallows the end":  "00 0900 f6ff 48656c6c6f",
	"a reference to before the beginning":   "f200110000",
	"a length that is not defined":          "1b0300",
	"a distance that is not defined":        "4b843f00",
	"bits behind the end":                   "f248cdc9c907 ff",
	"an end in one byte too many":           "f248cdc9c9070000",
	"an empty block that is not there":      "f348cdc9c90700",
	"the end that should have been removed": "f248cdc9c907000000ffff",
	"text that was not compressed":          hex.EncodeToString([]byte("Hello")),
	"codes for more symbols than there are": "fcff ffff ffff ffff ffff ffff",
	"no code at all":                        "0400 0000 0000 0000",
	"nothing":                               "",
}

// TestTables checks the tables with inflate, a plain implementation of RFC 1951.
func TestTables(t *testing.T) {
	for _, tt := range deflated {
		if got, _, err := inflate(squeezed(0, tt.digits).Payload, nil); err != nil || string(got) != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	for name, digits := range corrupt {
		if got, _, err := inflate(squeezed(0, digits).Payload, nil); err == nil {
			t.Errorf("%s: got %q, want an error", name, got)
		}
	}
	long, stored := truncatable()
	for _, p := range [][]byte{long, stored} {
		for n := range p {
			if len(p) == len(stored) && n == 1 { // an empty message
				continue
			}
			if got, _, err := inflate(p[:n], nil); err == nil {
				t.Errorf("the first %d bytes of %d: got %q, want an error", n, len(p), got)
			}
		}
	}
	for _, m := range materials {
		p := m.at(0, 100_000)
		c, err := newCodec(params{})
		if err != nil {
			t.Fatal(err)
		}
		if got, reach, err := inflate(c.pack(p), nil); err != nil || string(got) != string(p) || reach > 1<<15 {
			t.Errorf("got %d bytes, %d back, %v, want %d", len(got), reach, err, len(p))
		}
	}
}

// truncatable returns two messages of which no prefix is a message: one in a block with
// dynamic codes, one stored.
func truncatable() (long, stored []byte) {
	c, err := newCodec(params{})
	if err != nil {
		panic(err)
	}
	long = c.pack([]byte(repeat("a tale told by an idiot, full of sound and fury, ", 300) + "signifying nothing"))
	return long, squeezed(0, "00 0500 faff 48656c6c6f 00").Payload
}
