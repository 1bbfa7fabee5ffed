package command

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/internal/quote"
)

// A messageLog prints received messages, one line each, in the format of the log.
type messageLog struct {
	*asyncWriter
	json bool
}

func newMessageLog(w io.Writer, json bool) messageLog {
	return messageLog{newAsyncWriter(w, func(messages int64) string {
		if json {
			return jsonLine(slog.LevelWarn, "messages not shown: stdout was not read in time", slog.Int64("messages", messages))
		}
		return fmt.Sprintf("(%d messages not shown: stdout was not read in time)\n", messages)
	}), json}
}

// print is the OnMessage of an echo.Echo.
func (l messageLog) print(c echo.Conn, typ websocket.MessageType, p []byte) {
	line := messageLine
	if l.json {
		line = messageJSON
	}
	l.writeLine(line(c.(interface{ RemoteAddr() string }).RemoteAddr(), typ, p))
}

// maxPrinted is the number of bytes that are printed of a message.
const maxPrinted = 256

// shortened returns at most maxPrinted bytes of a message.
func shortened(typ websocket.MessageType, p []byte) []byte { return shortenedTo(maxPrinted, typ, p) }

// shortenedTo returns at most limit bytes of a message. A text is not cut within a rune.
func shortenedTo(limit int, typ websocket.MessageType, p []byte) []byte {
	if len(p) <= limit {
		return p
	}
	p = p[:limit]
	for range utf8.UTFMax - 1 {
		if r, n := utf8.DecodeLastRune(p); r != utf8.RuneError || n != 1 || typ != websocket.MessageText {
			break
		}
		p = p[:len(p)-1]
	}
	return p
}

// messageLine returns one line of printable text for any message.
func messageLine(from string, typ websocket.MessageType, p []byte) string {
	var notes []string
	if typ == websocket.MessageBinary {
		notes = append(notes, "binary")
	}
	shown := shortened(typ, p)
	if len(shown) < len(p) {
		notes = append(notes, fmt.Sprintf("%d of %d bytes", len(shown), len(p)))
	}
	note := ""
	if len(notes) > 0 {
		note = " (" + strings.Join(notes, ", ") + ")"
	}
	return fmt.Sprintf("%s sent: \"%s\"%s\n", from, quote.Append(nil, string(shown)), note)
}

// messageJSON returns one line of JSON for any message. The field bytes is the length of
// the whole message. The field text has the beginning of a text, and the field base64
// that of a binary message.
func messageJSON(from string, typ websocket.MessageType, p []byte) string {
	payload := slog.String("text", string(shortened(typ, p)))
	if typ == websocket.MessageBinary {
		payload = slog.String("base64", base64.StdEncoding.EncodeToString(shortened(typ, p)))
	}
	return jsonLine(slog.LevelInfo, "message", slog.String("remote", from), slog.Int("bytes", len(p)), payload)
}

// jsonLine returns a line in the JSON format of the log. Unprintable characters are
// escaped as in JSON, so that a decoder returns them unchanged.
func jsonLine(level slog.Level, msg string, attrs ...slog.Attr) string {
	return printableJSON(logFormat{json: true}.line(level, msg, attrs...))
}

// printableJSON escapes the unprintable characters of a line of JSON.
func printableJSON(text string) string {
	line := []byte(text)
	escaped := make([]byte, 0, len(line))
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		switch {
		case r == '\n', quote.IsPrint(r):
			escaped = append(escaped, line[:n]...)
		case r >= 0x10000:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
		line = line[n:]
	}
	return string(escaped)
}
