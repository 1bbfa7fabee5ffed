package transport

import (
	"bytes"
	"testing"

	"example.com/wsecho/internal/frame"
)

// TestAnswer finds the answer to a close frame at the end of any input.
func TestAnswer(t *testing.T) {
	junk := bytes.Repeat([]byte{frame.Fin | frame.Close, 0x80 | 2, 0xff}, 100)
	long := string(bytes.Repeat([]byte("r"), 123))
	for _, test := range []struct {
		name   string
		input  []byte
		reason string
		found  bool
	}{
		{"alone", closing(1002, ""), "", true},
		{"with a reason", closing(1002, "bad"), "bad", true},
		{"behind anything", cat(junk, closing(1002, "bad")), "bad", true},
		{"the longest", cat(junk, closing(1002, long)), long, true},
		{"another code", closing(1000, ""), "", false},
		{"no code", masked(frame.Fin|frame.Close, nil), "", false},
		{"not masked", frame.EncodeClose(1002, ""), "", false},
		{"not UTF-8", closing(1002, "\xff"), "", false},
		{"cut", closing(1002, "bad")[:9], "", false},
		{"before the end", cat(closing(1002, "bad"), []byte("x")), "", false},
		{"nothing", nil, "", false},
	} {
		for _, piece := range []int{1, 7, 1000} {
			var end lastInput
			for b := test.input; len(b) > 0; b = b[min(piece, len(b)):] {
				end.add(b[:min(piece, len(b))])
			}
			if reason, ok := end.answer(1002); ok != test.found || reason != test.reason {
				t.Errorf("%s, in pieces of %d: got %q, %v", test.name, piece, reason, ok)
			}
		}
	}
}
