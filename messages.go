package main

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
)

// A messageLog prints messages, a line each and in one write. Whoever reads the
// lines may be slow, and the connections wait for a while; it may also have
// stopped, and then they go on and lines are lost. How many is said where they
// would have been.
type messageLog struct {
	w     io.Writer
	lines chan string
	stuck atomic.Bool   // the reader took nothing for printWait, and nothing since
	lost  atomic.Int64  // lines that were not taken, since that was last said
	quit  chan struct{} // no more lines will come
	done  chan struct{} // run has returned
}

const (
	// printAhead is how many lines may be ahead of the reader.
	printAhead = 1000
	// printWait is how long a connection waits for it, once.
	printWait = time.Second
)

func newMessageLog(w io.Writer) *messageLog {
	l := &messageLog{w: w, lines: make(chan string, printAhead), quit: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

// run writes, in a goroutine of its own: what w takes nothing of cannot be
// stopped.
func (l *messageLog) run() {
	defer close(l.done)
	for {
		select {
		case line := <-l.lines:
			l.write(line)
			continue
		default:
		}
		select {
		case line := <-l.lines:
			l.write(line)
		case <-l.quit:
			if l.lost.Load() > 0 {
				l.write("")
			}
			return
		}
	}
}

func (l *messageLog) write(line string) {
	if n := l.lost.Swap(0); n > 0 {
		line = fmt.Sprintf("(%d messages are not shown: nobody took the lines)\n", n) + line
	}
	_, _ = io.WriteString(l.w, line) // there is nobody to tell
	l.stuck.Store(false)
}

// end waits until all is written, or as long as a connection would.
func (l *messageLog) end() {
	close(l.quit)
	t := time.NewTimer(printWait)
	defer t.Stop()
	select {
	case <-l.done:
	case <-t.C:
	}
}

// print is for OnMessage of an Echo.
func (l *messageLog) print(c echo.Conn, typ websocket.MessageType, p []byte) {
	l.add(messageLine(c.(*server.Conn).RemoteAddr(), typ, p))
}

// add hands a line on, or counts it as lost.
func (l *messageLog) add(line string) {
	select {
	case l.lines <- line:
		return
	default:
	}
	if !l.stuck.Load() {
		t := time.NewTimer(printWait)
		defer t.Stop()
		select {
		case l.lines <- line:
			return
		case <-t.C:
			l.stuck.Store(true)
		}
	}
	l.lost.Add(1)
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
