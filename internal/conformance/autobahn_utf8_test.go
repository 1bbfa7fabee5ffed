package conformance_test

import (
	"fmt"
	"slices"
	"strings"

	"example.com/wsecho/wstest"
)

const (
	// kosme is a Greek word of letters of two and three bytes.
	kosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
	// beyond encodes U+110000, the first value after the last code point. Its second
	// byte is the first invalid one.
	beyond = "\xf4\x90\x80\x80"
)

// utf8Cases returns the cases of section 6.
func utf8Cases() []numbered {
	greeting := []string{"Hello-µ@ßöä", "üàá-UTF-8!!"}
	whole := strings.Join(greeting, "")
	surrogate := kosme + "\xed\xa0\x80edited"
	octets := func(s string) step { return together(pieces(wstest.Text, s, 1)...) }
	// The suite waits one second after the first part, to check that the server accepts
	// it. Here a ping and its pong check that. The third part is never sent.
	message := kosme + beyond + "edited"
	n := len(kosme)
	inFrames := func(cuts ...int) exchange {
		f := cut(wstest.Text, message, cuts...)
		return exchange{
			steps: []step{together(f[0], ping("accepted")), awaitReplies(1), together(f[1]), closing},
			want:  []wstest.Frame{pong("accepted")},
			code:  1007,
		}
	}
	inChops := func(first, second int) exchange {
		b := wire(text(message))
		header := len(b) - len(message)
		return exchange{
			steps: []step{raw(b[:header+first]), silent, raw(b[header+first : header+second]), closing},
			code:  1007,
		}
	}
	all := slices.Concat(
		section("6.1",
			echoed(wstest.Text, "", together(text(""))),
			echoed(wstest.Text, "", together(wstest.Fragments(wstest.Text, "", "", "")...)),
			echoed(wstest.Text, "middle frame payload", together(wstest.Fragments(wstest.Text, "", "middle frame payload", "")...)),
		),
		section("6.2",
			echoed(wstest.Text, whole, together(text(whole))),
			echoed(wstest.Text, whole, together(wstest.Fragments(wstest.Text, greeting...)...)),
			echoed(wstest.Text, whole, octets(whole)),
			echoed(wstest.Text, kosme, octets(kosme)),
		),
		section("6.3",
			refused(1007, together(text(surrogate))),
			refused(1007, octets(surrogate)),
		),
		section("6.4",
			inFrames(n, n+len(beyond)),
			inFrames(n+1, n+2),
			inChops(n, n+len(beyond)),
			inChops(n+1, n+2),
		),
	)
	for i, group := range utf8Table() {
		var rows []exchange
		for _, s := range group {
			if s.valid {
				rows = append(rows, echoed(wstest.Text, s.text, together(text(s.text))))
			} else {
				rows = append(rows, refused(1007, together(text(s.text))))
			}
		}
		all = append(all, section(fmt.Sprintf("6.%d", 5+i), rows...)...)
	}
	return all
}

// A sample is a text, and whether it is valid UTF-8.
type sample struct {
	text  string
	valid bool
}

func valid(texts ...string) []sample   { return samples(true, texts) }
func invalid(texts ...string) []sample { return samples(false, texts) }

func samples(valid bool, texts []string) []sample {
	all := make([]sample, len(texts))
	for i, s := range texts {
		all[i] = sample{s, valid}
	}
	return all
}

// utf8Table returns the samples of sections 6.5 to 6.23, from Markus Kuhn's decoder stress
// test.
func utf8Table() [][]sample {
	var prefixes []sample
	for n := 1; n <= len(kosme); n++ {
		whole := n == 2 || n == 5 || n == 7 || n == 9 || n == 11
		prefixes = append(prefixes, sample{kosme[:n], whole})
	}
	var strays strings.Builder
	for b := byte(0x80); b < 0xbf; b++ {
		strays.WriteByte(b)
	}
	lonely := func(from, to byte) string { // each followed by a space
		var s strings.Builder
		for b := from; b < to; b++ {
			s.Write([]byte{b, ' '})
		}
		return s.String()
	}
	missing := []string{
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
	}
	noncharacters := []string{"\xef\xbf\xbe", "\xef\xbf\xbf"}
	for plane := 1; plane <= 16; plane++ {
		for _, low := range []int{0xfffe, 0xffff} {
			noncharacters = append(noncharacters, string(rune(plane<<16|low)))
		}
	}
	return [][]sample{
		valid("hello$world", "hello\xc2\xa2world", "hello\xe2\x82\xacworld", "hello\xf0\xa4\xad\xa2world", kosme),
		prefixes,
		valid("\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"),
		invalid("\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"),
		valid("\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"),
		invalid("\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"),
		append(valid("\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf"), invalid(beyond)...),
		invalid("\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf", "\x80\xbf\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf", strays.String()),
		invalid(lonely(0xc0, 0xdf), lonely(0xe0, 0xef), lonely(0xf0, 0xf7), lonely(0xf8, 0xfb), lonely(0xfc, 0xfd)),
		invalid(missing...),
		invalid(strings.Join(missing, "")),
		invalid("\xfe", "\xff", "\xfe\xfe\xff\xff"),
		invalid("\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"),
		invalid("\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"),
		invalid("\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"),
		invalid("\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf"),
		invalid(
			"\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xad\xbf\xed\xb0\x80", "\xed\xad\xbf\xed\xbf\xbf",
			"\xed\xae\x80\xed\xb0\x80", "\xed\xae\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf",
		),
		valid(noncharacters...),
		valid("\xef\xbf\xb9", "\xef\xbf\xba", "\xef\xbf\xbb", "\xef\xbf\xbc", "\xef\xbf\xbd", "\xef\xbf\xbe", "\xef\xbf\xbf"),
	}
}
