package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
)

// A messageLog prints messages, a line each and in one write.
type messageLog struct {
	mu sync.Mutex
	w  io.Writer
}

// print is for OnMessage of an Echo. Where w takes no more, the connections wait
// for it, as the writers of a pipe do.
func (l *messageLog) print(c echo.Conn, typ websocket.MessageType, p []byte) {
	line := messageLine(c.(*server.Conn).RemoteAddr(), typ, p)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.w, line) // there is nobody to tell
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
