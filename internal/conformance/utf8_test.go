package conformance_test

import (
	"fmt"
	"slices"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// forms lists the well-formed sequences of RFC 3629, section 4, byte by byte. The tests
// use this grammar, so they do not depend on a library.
var forms = [][][2]byte{
	{{0x00, 0x7f}},
	{{0xc2, 0xdf}, {0x80, 0xbf}},
	{{0xe0, 0xe0}, {0xa0, 0xbf}, {0x80, 0xbf}},
	{{0xe1, 0xec}, {0x80, 0xbf}, {0x80, 0xbf}},
	{{0xed, 0xed}, {0x80, 0x9f}, {0x80, 0xbf}},
	{{0xee, 0xef}, {0x80, 0xbf}, {0x80, 0xbf}},
	{{0xf0, 0xf0}, {0x90, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}},
	{{0xf1, 0xf3}, {0x80, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}},
	{{0xf4, 0xf4}, {0x80, 0x8f}, {0x80, 0xbf}, {0x80, 0xbf}},
}

// wrong returns the index of the first byte of s that cannot follow the bytes before it,
// or len(s). It reports as whole whether s may end there.
func wrong(s string) (at int, whole bool) {
	for at < len(s) {
		best := 0
		for _, form := range forms {
			n := 0
			for n < len(form) && at+n < len(s) && s[at+n] >= form[n][0] && s[at+n] <= form[n][1] {
				n++
			}
			if n == len(form) {
				best = -n
				break
			}
			best = max(best, n)
		}
		if best >= 0 {
			return at + best, at+best == len(s) && best == 0
		}
		at -= best
	}
	return at, true
}

func TestGrammar(t *testing.T) {
	for _, tt := range []struct {
		text  string
		at    int
		whole bool
	}{
		{"", 0, true},
		{kosme, len(kosme), true},
		{kosme[:4], 4, false},
		{kosme + beyond, len(kosme) + 1, false},
		{"a\xed\xa0\x80", 2, false},
		{"\xf0\x90\x80\x80\xff", 4, false},
		{"\xff", 0, false},
	} {
		if at, whole := wrong(tt.text); at != tt.at || whole != tt.whole {
			t.Errorf("%q: got %d, %t, want %d, %t", tt.text, at, whole, tt.at, tt.whole)
		}
	}
	for _, group := range utf8Table() {
		for _, s := range group {
			if _, whole := wrong(s.text); whole != s.valid {
				t.Errorf("%q: got %t, want %t", s.text, whole, s.valid)
			}
		}
	}
}

// sequences returns texts of one to four bytes at the boundaries of valid UTF-8.
func sequences() []string {
	var all []string
	for b := range 256 {
		all = append(all, string([]byte{byte(b)}))
	}
	second := []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff}
	leads := []byte{0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfb, 0xfc, 0xff}
	for _, a := range leads {
		for _, b := range second {
			all = append(all, string([]byte{a, b}))
			for _, c := range []byte{0x7f, 0x80, 0xbf, 0xc0} {
				if a >= 0xc0 {
					all = append(all, string([]byte{a, b, c}))
				}
				for _, d := range []byte{0x7f, 0x80, 0xbf, 0xc0} {
					if a >= 0xf0 && c >= 0x80 && c < 0xc0 {
						all = append(all, string([]byte{a, b, c, d}))
					}
				}
			}
		}
	}
	return all
}

// TestUTF8 sends texts of one sequence, and of sequences after and before others. The
// server echoes them as binary messages, valid or not.
func TestUTF8(t *testing.T) {
	t.Parallel()
	var rows []exchange
	all := sequences()
	good := exchange{name: "all valid sequences"}
	binaries := exchange{name: "as binary messages"}
	for _, s := range all {
		if _, whole := wrong(s); whole {
			good.want = append(good.want, text(s), text(kosme+s+kosme))
		} else {
			rows = append(rows, exchange{name: fmt.Sprintf("%q", s), steps: []step{together(text("a" + s))}, code: 1007})
		}
		binaries.want = append(binaries.want, binary(s))
	}
	good.steps = []step{together(good.want...)}
	binaries.steps = []step{together(binaries.want...)}
	if sampled() {
		rows = everyNth(rows, 8)
	}
	sweep(t, append(rows, good, binaries), on(serve(t, server.Options{})))
}

// everyNth returns a sample of a long table.
func everyNth[T any](rows []T, n int) []T {
	var some []T
	for i := 0; i < len(rows); i += n {
		some = append(some, rows[i])
	}
	return some
}

// TestFailFast sends an invalid byte and then nothing. The byte is in a fragment of an
// incomplete message, or in an incomplete frame.
func TestFailFast(t *testing.T) {
	t.Parallel()
	var rows []exchange
	add := func(name, s string, at int) {
		bad := "a" + s[:at+1] // up to the first invalid byte
		rows = append(rows,
			exchange{name: name + " in a fragment", steps: []step{together(text(bad).Open()), closing}, code: 1007},
			exchange{name: name + " over two fragments", steps: []step{together(text(bad[:at+1]).Open(), more(bad[at+1:])), closing}, code: 1007},
			exchange{name: name + " in an unfinished frame", steps: []step{raw(wire(text(bad + stars(100)))[:6+len(bad)]), closing}, code: 1007},
		)
	}
	seen := make(map[string]bool)
	for _, s := range slices.Concat(sequences(), []string{"\xed\xa0\x80", beyond, "\xf8\x88\x80\x80\x80"}) {
		at, whole := wrong(s)
		if whole || at == len(s) || seen[s[:at+1]] { // a prefix of a sequence is not invalid
			continue
		}
		seen[s[:at+1]] = true
		add(fmt.Sprintf("%q", s[:at+1]), s, at)
	}
	if sampled() {
		rows = everyNth(rows, 7)
	}
	sweep(t, rows, on(serve(t, server.Options{})))
}

// TestCutText cuts a text of one-byte to four-byte code points at every byte, into
// fragments and into writes. A fragment may legally end inside a code point. The test also
// truncates the text.
func TestCutText(t *testing.T) {
	t.Parallel()
	const s = "aé€𤭢z\U0010ffff\x00"
	var rows []exchange
	for i := range len(s) + 1 {
		for j := i; j <= len(s); j++ {
			rows = append(rows, exchange{
				name:  fmt.Sprintf("fragments cut at %d and %d", i, j),
				steps: []step{together(cut(wstest.Text, s, i, j)...)}, want: []wstest.Frame{text(s)},
			})
		}
		e := exchange{name: fmt.Sprintf("short at %d", i), steps: []step{together(text(s[:i]))}, want: []wstest.Frame{text(s[:i])}}
		if _, whole := wrong(s[:i]); !whole {
			e.want, e.code = nil, 1007
		}
		rows = append(rows, e,
			exchange{
				name:  fmt.Sprintf("with a ping at %d", i),
				steps: []step{apart(text(s[:i]).Open(), ping("?"), last(s[i:]))}, want: []wstest.Frame{pong("?"), text(s)},
			},
			exchange{
				name:  fmt.Sprintf("a letter begun at the end of the message of %d bytes is not ended by the next", i),
				steps: []step{together(text(s[:i]), text(s[i:]))}, want: e.want, code: e.code,
			})
		if n := len(rows) - 1; rows[n].code == 0 {
			rows[n].want = append(slices.Clone(rows[n].want), text(s[i:]))
		}
	}
	for n := 1; n <= 7; n++ {
		rows = append(rows, exchange{name: fmt.Sprintf("in chops of %d", n), steps: []step{chopped(n, text(s))}, want: []wstest.Frame{text(s)}})
	}
	sweep(t, rows, on(serve(t, server.Options{})))
}
