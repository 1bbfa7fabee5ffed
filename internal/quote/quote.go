// Package quote escapes text of peers for a line of a log or of a terminal.
package quote

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// IsPrint reports whether r can be printed as it is. It is stricter than strconv.IsPrint:
// a combining character changes the text before it, and some letters and symbols are
// invisible.
func IsPrint(r rune) bool {
	return strconv.IsPrint(r) && !unicode.Is(unicode.M, r) && !unicode.Is(invisible, r)
}

// invisible has the invisible characters that are letters or symbols.
var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x115f, Hi: 0x1160, Stride: 1}, // Hangul fillers
		{Lo: 0x2800, Hi: 0x2800, Stride: 1}, // Braille blank
		{Lo: 0x3164, Hi: 0x3164, Stride: 1},
		{Lo: 0xffa0, Hi: 0xffa0, Stride: 1},
	},
}

// Quote returns s as Append does, in quotes.
func Quote(s string) string { return `"` + string(Append(nil, s)) + `"` }

// Append appends s without quotes. Quotes, backslashes, unprintable characters and invalid
// UTF-8 become Go's escapes.
func Append(b []byte, s string) []byte {
	for len(s) > 0 {
		n := 0
		b, n = AppendFirst(b, s)
		s = s[n:]
	}
	return b
}

// AppendFirst is Append for the first character of s. It returns its length in s.
func AppendFirst(b []byte, s string) ([]byte, int) {
	r, n := utf8.DecodeRuneInString(s)
	quoted := strconv.AppendQuote
	if !IsPrint(r) {
		quoted = strconv.AppendQuoteToASCII
	}
	start := len(b)
	b = quoted(b, s[:n])
	copy(b[start:], b[start+1:len(b)-1]) // without the quotes
	return b[:len(b)-2], n
}
