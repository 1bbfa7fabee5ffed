package server

import (
	"fmt"
	"log"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/wsecho/internal/quote"
)

// maxLogged is the maximum size of a string in the log that a peer may have chosen, in
// bytes. slog may double it. A line has at most two such strings, an address, a close
// reason and those of a requestLog. So a line stays under 2 KiB.
const maxLogged = 256

// logged returns s for a line of the log. Unprintable characters become Go's escapes. A
// result over maxLogged bytes is truncated, followed by the number of omitted bytes of
// s. The handlers of slog escape line breaks. The JSON handler does not escape characters
// that change the direction of the text.
func logged(s string) string { return truncate(s, maxLogged) }

// cloneLogged returns a copy of logged(s), so that a Conn does not keep the request in
// memory.
func cloneLogged(s string) string { return strings.Clone(logged(s)) }

// truncate is logged with another maximum.
func truncate(s string, most int) string {
	if len(s) <= most && !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var all []byte
	for n := 0; n < len(s); {
		longer, size := quote.AppendFirst(all, s[n:])
		if len(longer) > most {
			return fmt.Sprintf("%s…(+%d bytes)", all, len(s)-n)
		}
		all = longer
		n += size
	}
	return string(all)
}

// unprintable reports whether r needs an escape. RuneError means invalid UTF-8.
func unprintable(r rune) bool { return r == utf8.RuneError || !quote.IsPrint(r) }

// seconds returns an attribute of a log line: d in seconds, rounded to the unit. The JSON
// handler of slog would print a Duration in nanoseconds, without a unit.
func seconds(key string, d, unit time.Duration) slog.Attr {
	return slog.Float64(key, float64(d.Round(unit)/unit)/float64(time.Second/unit))
}

// httpLog returns the log of net/http, at level debug. An error of TLS may contain names
// from the peer. A panic of a function of the Options is logged at level error, like that
// of a handler. It is limited as warnings are.
func (s *Server) httpLog() *log.Logger { return log.New(httpLines{s}, "", 0) }

type httpLines struct{ s *Server }

// Write logs one line, or a panic followed by its stack.
func (h httpLines) Write(p []byte) (int, error) {
	text := strings.TrimSuffix(string(p), "\n")
	if i := strings.LastIndex(text, "\ngoroutine "); i >= 0 {
		h.s.warnings.report(slog.LevelError, "panic in net/http", logged(text[:i]), slog.String("stack", text[i+1:]))
	} else {
		h.s.log.Debug(logged(text))
	}
	return len(p), nil
}
