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

// A messageLog prints messages, a line each.
type messageLog struct{ *lines }

func newMessageLog(w io.Writer) messageLog {
	return messageLog{newLines(w, func(lost int64) string {
		return fmt.Sprintf("(%d messages are not shown: nobody took the lines)\n", lost)
	})}
}

// print is for OnMessage of an Echo.
func (l messageLog) print(c echo.Conn, typ websocket.MessageType, p []byte) {
	l.add(messageLine(c.(*server.Conn).RemoteAddr(), typ, p))
}

// mostPrinted is how many bytes of a message are printed.
const mostPrinted = 256

// messageLine is one line of plain text, whatever p is.
func messageLine(from string, typ websocket.MessageType, p []byte) string {
	var notes []string
	shown := p
	if typ == websocket.MessageBinary {
		notes = append(notes, "binary")
	}
	if len(p) > mostPrinted {
		shown = p[:mostPrinted]
		for range utf8.UTFMax - 1 { // leave no part of a rune at the end
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
