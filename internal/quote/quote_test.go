package quote

import (
	"strconv"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"hello, wörld 💬 日本":        "hello, wörld 💬 日本",
		`a"b\c`:                    `a\"b\\c`,
		"\x1b[31m\r\n\x00":         `\x1b[31m\r\n\x00`,
		"\u202e\u0085\u2028\u00a0": `\u202e\u0085\u2028\u00a0`,
		"\xff\xf0\x9f":             `\xff\xf0\x9f`,
		"\ufffd":                   "\ufffd",
		"e\u0301\u0300":            `e\u0301\u0300`,
		"a\u034f\ufe0f\u20dd":      `a\u034f\ufe0f\u20dd`,
		"\U000e0100\U000e0001":     `\U000e0100\U000e0001`,
		"\u115f\u1160\u3164\uffa0": `\u115f\u1160\u3164\uffa0`,
		"\u2800\u200b\u2060\ufeff": `\u2800\u200b\u2060\ufeff`,
		"\u0915\u093f":             `क\u093f`,
	} {
		if got := string(Append([]byte("x"), text)); got != "x"+want {
			t.Errorf("%+q: got %s, want %s", text, got, want)
		}
	}
}

// FuzzAppend checks that the result is printable, and that strconv.Unquote returns the
// text.
func FuzzAppend(f *testing.F) {
	f.Add("a\u0301\xff\"")
	f.Fuzz(func(t *testing.T, text string) {
		quoted := string(Append(nil, text))
		if strings.ContainsFunc(quoted, func(r rune) bool { return !IsPrint(r) }) {
			t.Errorf("%+q: %+q is not printable", text, quoted)
		}
		if got, err := strconv.Unquote(`"` + quoted + `"`); err != nil || got != text {
			t.Errorf("%+q: Unquote returns %+q, %v", text, got, err)
		}
	})
}
