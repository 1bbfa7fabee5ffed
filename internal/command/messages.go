package command

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
)

// A messageLog prints received messages, one line each.
type messageLog struct{ *asyncWriter }

func newMessageLog(w io.Writer) messageLog {
	return messageLog{newAsyncWriter(w, func(messages int64) string {
		return fmt.Sprintf("(%d messages not shown: stdout was not read in time)\n", messages)
	})}
}

// print is the OnMessage of an echo.Echo.
func (l messageLog) print(c echo.Conn, typ websocket.MessageType, p []byte) {
	l.writeLine(messageLine(c.(*server.Conn).RemoteAddr(), typ, p))
}

// maxPrinted is the number of bytes that are printed of a message.
const maxPrinted = 256

// messageLine returns one line of printable text for any message.
func messageLine(from string, typ websocket.MessageType, p []byte) string {
	var notes []string
	shown := p
	if typ == websocket.MessageBinary {
		notes = append(notes, "binary")
	}
	if len(p) > maxPrinted {
		shown = p[:maxPrinted]
		for range utf8.UTFMax - 1 { // remove a part of a rune at the end
			if r, n := utf8.DecodeLastRune(shown); r != utf8.RuneError || n != 1 || typ != websocket.MessageText {
				break
			}
			shown = shown[:len(shown)-1]
		}
		notes = append(notes, fmt.Sprintf("%d of %d bytes", len(shown), len(p)))
	}
	note := ""
	if len(notes) > 0 {
		note = " (" + strings.Join(notes, ", ") + ")"
	}
	return fmt.Sprintf("%s sent: %q%s\n", from, shown, note)
}
