package wstest_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"example.com/wsecho/wstest"
)

func TestAppend(t *testing.T) {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	for _, test := range []struct {
		frame wstest.Frame
		want  string
	}{
		// The examples of section 5.7.
		{wstest.TextFrame("Hello"), "810548656c6c6f"},
		{wstest.TextFrame("Hello").WithKey(key), "818537fa213d7f9f4d5158"},
		{wstest.TextFrame("Hel").Open(), "010348656c"},
		{wstest.Frame{Fin: true, Payload: []byte("lo")}, "80026c6f"},
		{wstest.PingFrame("Hello"), "890548656c6c6f"},
		{wstest.PongFrame("Hello").WithKey(key), "8a8537fa213d7f9f4d5158"},

		{wstest.Frame{}, "0000"},
		{wstest.CloseFrame(0, "ignored"), "8800"},
		{wstest.CloseFrame(1000, "bye"), "880503e8627965"},
		{wstest.TextFrame("").WithRsv(wstest.RSV1), "c100"},
		{wstest.TextFrame("").WithRsv(wstest.RSV2), "a100"},
		{wstest.TextFrame("").WithRsv(wstest.RSV3), "9100"},
		{wstest.Frame{Opcode: 0xFF, Rsv: 0xFF}, "7f00"},
	} {
		if got := hex.EncodeToString(test.frame.Append(nil)); got != test.want {
			t.Errorf("%v: got %s, want %s", test.frame, got, test.want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte("x"), n)
		for _, f := range []wstest.Frame{
			wstest.BinaryFrame(payload),
			wstest.BinaryFrame(payload).WithKey([4]byte{1, 2, 3, 4}),
			wstest.BinaryFrame(payload).Open().WithRsv(5),
		} {
			b := f.Append([]byte("before"))[len("before"):]
			got, rest, err := wstest.Decode(append(b, "after"...))
			if err != nil || !reflect.DeepEqual(got, f) || string(rest) != "after" {
				t.Errorf("got %v, rest %q, %v, want %v", got, rest, err, f)
			}
			if !bytes.Equal(f.Payload, payload) {
				t.Errorf("%v: Append has changed the payload", f)
			}
			for _, cut := range []int{1, len(b) - 1} {
				if _, _, err := wstest.Decode(b[:cut]); err != io.ErrUnexpectedEOF {
					t.Errorf("%v cut to %d bytes: got %v, want %v", f, cut, err, io.ErrUnexpectedEOF)
				}
			}
		}
	}
	if _, _, err := wstest.Decode(nil); err != io.EOF {
		t.Errorf("nothing: got %v, want %v", err, io.EOF)
	}
}

func TestHeader(t *testing.T) {
	key := [4]byte{0xa, 0xb, 0xc, 0xd}
	for _, test := range []struct {
		masked bool
		length uint64
		bits   int
		want   string
	}{
		{false, 125, 0, "817d"},
		{false, 126, 0, "817e007e"},
		{false, 65535, 0, "817effff"},
		{false, 65536, 0, "817f0000000000010000"},
		{true, 5, 0, "81850a0b0c0d"},
		{false, 5, 16, "817e0005"},
		{true, 5, 64, "81ff00000000000000050a0b0c0d"},
		{false, 1 << 63, 64, "817f8000000000000000"},
		{false, 126, 7, "817e"},
		{false, 127, 7, "817f"},
		{false, 65537, 16, "817e0001"},
	} {
		got := hex.EncodeToString(wstest.Header(0x81, test.masked, key, test.length, test.bits))
		if got != test.want {
			t.Errorf("length %d in %d bits: got %s, want %s", test.length, test.bits, got, test.want)
		}
	}
}

func TestFragments(t *testing.T) {
	got := fmt.Sprint(wstest.Fragments(wstest.Text, "a", "", "c"))
	want := `[text without fin "a" continuation without fin "" continuation "c"]`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseClose(t *testing.T) {
	for _, test := range []struct {
		payload string
		code    uint16
		reason  string
	}{
		{"", wstest.NoStatus, ""},
		{"\x03", wstest.Malformed, "\x03"},
		{"\x03\xe8", 1000, ""},
		{"\x03\xe9bye", 1001, "bye"},
	} {
		code, reason := wstest.ParseClose([]byte(test.payload))
		if code != test.code || reason != test.reason {
			t.Errorf("%q: got %d %q, want %d %q", test.payload, code, reason, test.code, test.reason)
		}
	}
}

// FuzzDecode checks that Decode reverses Append and returns the bytes after the frame. For
// an incomplete frame it must return one of the two errors.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x81\x05Hello"))
	f.Add([]byte("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"))
	f.Add([]byte("\x88\x02\x03\xe8\x88"))
	f.Add([]byte("\x82\x7e\x00\x01x"))
	f.Add([]byte("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x82\x7e\x00\x7e" + strings.Repeat("x", 126)))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, rest, err := wstest.Decode(b)
		if err != nil {
			if want := io.ErrUnexpectedEOF; err != want && (err != io.EOF || len(b) > 0) {
				t.Fatalf("got %v", err)
			}
			return
		}
		again := frame.Append(nil)
		if len(again) > len(b)-len(rest) {
			t.Fatalf("%v has %d bytes, but was received in %d", frame, len(again), len(b)-len(rest))
		}
		got, left, err := wstest.Decode(append(again, rest...))
		if err != nil || !reflect.DeepEqual(got, frame) || !bytes.Equal(left, rest) {
			t.Fatalf("got %v, rest %q, %v, want %v, rest %q", got, left, err, frame, rest)
		}
	})
}
