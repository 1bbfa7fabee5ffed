package server

import (
	"fmt"
	"log"
	"log/slog"
	"strconv"
	"strings"
	"unicode/utf8"
)

// mostLogged is how many bytes of a string that a peer may have chosen are in a line
// of the log. slog may double them; the three that a line has besides an address
// leave it under 2 KiB.
const mostLogged = 256

// logged is s for a line of the log: what cannot be printed is written as Go's
// escapes, and of what is longer than mostLogged bytes then, there is the beginning,
// and how many bytes of s are left out. Handlers of slog keep a line a line, but that
// for JSON lets through what turns the text around it.
func logged(s string) string {
	if len(s) <= mostLogged && !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var all, one []byte
	for n := 0; n < len(s); {
		_, size := utf8.DecodeRuneInString(s[n:])
		one = strconv.AppendQuote(one[:0], s[n:n+size])
		escaped := one[1 : len(one)-1]
		if len(all)+len(escaped) > mostLogged {
			return fmt.Sprintf("%s…(+%d bytes)", all, len(s)-n)
		}
		all = append(all, escaped...)
		n += size
	}
	return string(all)
}

// unprintable is true for what stands for bytes that are not UTF-8, too.
func unprintable(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }

// httpLog is the log of net/http, at level debug. What TLS has to say may have names
// of the peer's in it, and so may the panic of a function of the Options, which comes
// with the stack.
func httpLog(l *slog.Logger) *log.Logger { return log.New(httpLines{l}, "", 0) }

type httpLines struct{ log *slog.Logger }

// Write takes one line, or a panic: the stack is the last that is in it.
func (h httpLines) Write(p []byte) (int, error) {
	text := strings.TrimSuffix(string(p), "\n")
	if i := strings.LastIndex(text, "\ngoroutine "); i >= 0 {
		h.log.Debug(logged(text[:i]), "stack", text[i+1:])
	} else {
		h.log.Debug(logged(text))
	}
	return len(p), nil
}
