package handshake

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"example.com/wsecho/internal/quote"
)

// A FieldError is a wrong value of a caller's option.
type FieldError struct {
	Field string // the option
	See   string // another option that the reader may want; "": none
	Err   error  // what is wrong
}

// Error returns the field, what is wrong with it, and the other field.
func (e *FieldError) Error() string {
	text := e.Field + ": " + e.Err.Error()
	if e.See != "" {
		text += "; see " + e.See
	}
	return text
}

// Unwrap returns Err.
func (e *FieldError) Unwrap() error { return e.Err }

// WrongField returns a *FieldError with a formatted text.
func WrongField(field, format string, args ...any) error {
	return &FieldError{Field: field, Err: fmt.Errorf(format, args...)}
}

// most is the number of bytes of a server's text in an error.
const most = 200

// Innermost returns the text of the innermost error that err wraps. It has no
// addresses, which package net puts before it.
func Innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// Quoted quotes the first 200 bytes of a text that a server sent. A refusal of package
// server fits.
func Quoted(b []byte) string {
	s := strings.TrimSpace(string(b))
	if len(s) > most {
		return quote.Quote(s[:most]) + "…"
	}
	return quote.Quote(s)
}

// Printable returns a text that may contain words of a server, such as the names in a
// certificate. It quotes the text if a part of it cannot be printed, and cuts it after
// 200 bytes.
func Printable(s string) string {
	shown := func(s string) string { return s }
	if strings.ContainsFunc(s, unprintable) {
		shown = quote.Quote
	}
	for end := 0; end < len(s); {
		_, size := utf8.DecodeRuneInString(s[end:])
		if len(shown(s[:end+size])) > most {
			return shown(s[:end]) + "…"
		}
		end += size
	}
	return shown(s)
}

// unprintable is also true for utf8.RuneError, which stands for invalid bytes.
func unprintable(r rune) bool { return r == utf8.RuneError || !quote.IsPrint(r) }
