package frame

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestCheckServer checks each thing that RFC 6455 and RFC 7692 forbid to a server.
func TestCheckServer(t *testing.T) {
	for _, test := range []struct {
		h             Header
		open, deflate bool
		want          string
	}{
		{Header{First: Fin | Text, Length: 1<<63 - 1}, false, false, ""},
		{Header{First: Binary}, false, false, ""},
		{Header{First: Continuation}, true, false, ""},
		{Header{First: Fin | Continuation}, true, true, ""},
		{Header{First: Fin | Ping, Length: 125}, true, false, ""},
		{Header{First: RSV1 | Text}, false, true, ""},
		{Header{First: Fin | RSV1 | Text}, false, false, "reserved bit"},
		{Header{First: Fin | RSV1 | Continuation}, true, true, "reserved bit"},
		{Header{First: Fin | RSV1 | Close}, false, true, "reserved bit"},
		{Header{First: Fin | 0x20 | Text}, false, true, "reserved bit"},
		{Header{First: Fin | 0x10 | Text}, false, true, "reserved bit"},
		{Header{First: Fin | 3}, false, false, "opcode 3"},
		{Header{First: Fin | 7}, false, false, "opcode 7"},
		{Header{First: Fin | 0xB}, false, false, "opcode 11"},
		{Header{First: Fin | Text, Masked: true}, false, false, "mask"},
		{Header{First: Pong}, false, false, "fragmented"},
		{Header{First: Fin | Close, Length: 126}, false, false, "125 bytes"},
		{Header{First: Fin | Continuation}, false, false, "continuation"},
		{Header{First: Fin | Text}, true, false, "inside another"},
		{Header{First: Fin | Binary, Length: 1 << 63}, false, false, "top bit"},
	} {
		err := test.h.CheckServer(test.open, test.deflate)
		if got := fmt.Sprint(err); (err == nil) != (test.want == "") || !strings.Contains(got, test.want) && err != nil {
			t.Errorf("%+v, open %v, deflate %v: got %v, want %q", test.h, test.open, test.deflate, err, test.want)
		}
	}
}

// TestReadHeader checks that a header is read whole or not at all, in each form.
func TestReadHeader(t *testing.T) {
	for _, h := range []Header{
		{First: Fin | Text, Length: 125}, {First: Ping, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: 5},
		{First: Fin | Binary, Length: 126}, {First: Fin | Binary, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: 1 << 40},
	} {
		for _, bits := range []int{7, 16, 64} {
			b := h.Append(nil, bits)
			in := bufio.NewReader(bytes.NewReader(append(b, "rest"...)))
			got, err := ReadHeader(in)
			if bits == 64 && err == nil && (got.First != h.First || got.Key != h.Key || got.Length != h.Length) {
				t.Errorf("got %+v, %v, want %+v", got, err, h)
			}
			if rest, _ := io.ReadAll(in); bits > 7 && string(rest) != "rest" {
				t.Errorf("%d bits: %q is left, want rest", bits, rest)
			}
			if want := bytes.Equal(b, h.Append(nil, 0)); bits == 64 && got.Shortest() != want {
				t.Errorf("%+v in %d bits: got shortest %v, want %v", h, bits, !want, want)
			}
			for end := range len(b) {
				in := bufio.NewReader(bytes.NewReader(b[:end]))
				want := io.ErrUnexpectedEOF
				if end == 0 {
					want = io.EOF
				}
				if got, err := ReadHeader(in); err != want || in.Buffered() != end {
					t.Errorf("%d of %d bytes: got %+v, %v with %d bytes left, want %v", end, len(b), got, err, in.Buffered(), want)
				}
			}
		}
	}
}

func TestParseCloseFrame(t *testing.T) {
	for _, test := range []struct {
		payload string
		code    int
		reason  string
		want    string
	}{
		{"", 1005, "", ""},
		{"\x03\xe8", 1000, "", ""},
		{"\x0f\xa0bye", 4000, "bye", ""},
		{"\x03", 0, "", "one byte"},
		{"\x03\xed", 0, "", "code 1005"},
		{"\x13\x88", 0, "", "code 5000"},
		{"\x03\xe8\xff", 0, "", "UTF-8"},
	} {
		code, reason, err := ParseClose([]byte(test.payload))
		if code != test.code || string(reason) != test.reason || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %d %q, %v, want %d %q, %q", test.payload, code, reason, err, test.code, test.reason, test.want)
		}
	}
}
