package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// IsReset reports whether err says that the server sent RST.
func IsReset(err error) bool {
	const wsaeconnaborted, wsaeconnreset = syscall.Errno(10053), syscall.Errno(10054) // Windows; no errno elsewhere
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, wsaeconnreset) || errors.Is(err, wsaeconnaborted)
}

// Innermost is the last part of what package net says: the addresses before it differ
// from one connection to the next.
func Innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// Quoted is what a server has said, for a sentence: no control characters and not
// long.
func Quoted(b []byte) string {
	const most = 80
	s := strings.TrimSpace(string(b))
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// Plain is a text that may have a server's words in it, such as the names in a
// certificate: as it is, or quoted if not all of it can be printed. Of more than 200
// bytes, there is the beginning.
func Plain(s string) string {
	const most = 200
	shown := func(s string) string { return s }
	if strings.ContainsFunc(s, unprintable) {
		shown = strconv.Quote
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

// unprintable is true for what stands for bytes that are not UTF-8, too.
func unprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
