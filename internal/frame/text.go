package frame

import "unicode/utf8"

// A TextCheck validates the text of a message in pieces. The zero value is ready to use.
type TextCheck struct {
	tail [utf8.UTFMax]byte // a rune that has begun
	n    int
}

// Reset begins another text.
func (c *TextCheck) Reset() { c.n = 0 }

// Next appends p to the text. It reports whether the text can still become valid UTF-8,
// so it returns false at the first invalid byte.
func (c *TextCheck) Next(p []byte) bool {
	for c.n > 0 && len(p) > 0 {
		c.tail[c.n] = p[0]
		c.n++
		p = p[1:]
		if utf8.FullRune(c.tail[:c.n]) {
			if !utf8.Valid(c.tail[:c.n]) {
				return false
			}
			c.n = 0
		}
	}
	end, ok := UTF8(p)
	if !ok {
		return false
	}
	c.n += copy(c.tail[c.n:], p[end:])
	return true
}

// Whole reports whether the text ends with a complete rune.
func (c *TextCheck) Whole() bool { return c.n == 0 }
