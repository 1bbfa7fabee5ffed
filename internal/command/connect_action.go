package command

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/quote"
)

// An actionKind is the kind of a line of input.
type actionKind int

const (
	actSend actionKind = iota
	actPing
	actClose
	actFile
	actHelp
)

// An action is the meaning of a line of input.
type action struct {
	kind actionKind
	typ  websocket.MessageType // of a message; of a file 0 for the type that it has
	text string                // the message, the reason, or the path
	code websocket.StatusCode
}

// actionHelp is the answer to /help.
const actionHelp = `A line is a text message. Commands:
  /ping                      send a ping
  /close [CODE [REASON]]     close the connection, with 1000 unless given
  /binary HEX                send a binary message
  /file PATH [text|binary]   send a file, as text if it is UTF-8 unless given
  /help                      print this list
  //TEXT                     send /TEXT
Ctrl-D or Ctrl-C closes with 1000.`

// parseAction returns the meaning of a line. Its errors are usageErrors.
func parseAction(line string, commands bool) (action, error) {
	if !commands || !strings.HasPrefix(line, "/") || strings.HasPrefix(line, "//") {
		if commands && strings.HasPrefix(line, "//") {
			line = line[1:]
		}
		if !utf8.ValidString(line) {
			return action{}, wrongLine("the line is not UTF-8, which a text message must be; /binary and /file send any bytes")
		}
		return action{typ: websocket.MessageText, text: line}, nil
	}
	name, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "/ping", "/help":
		if rest != "" {
			return action{}, wrongLine("%s takes no arguments, and %s follows it", name, shortQuote(rest))
		}
		return action{kind: map[string]actionKind{"/ping": actPing, "/help": actHelp}[name]}, nil
	case "/close":
		return parseClose(rest)
	case "/binary":
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		if err != nil {
			return action{}, wrongLine("%s is not pairs of hexadecimal digits, such as /binary 00 ff", shortQuote(rest))
		}
		return action{typ: websocket.MessageBinary, text: string(b)}, nil
	case "/file":
		a := action{kind: actFile, text: rest}
		for word, typ := range map[string]websocket.MessageType{" text": websocket.MessageText, " binary": websocket.MessageBinary} {
			if path, ok := strings.CutSuffix(rest, word); ok {
				a.text, a.typ = strings.TrimSpace(path), typ
			}
		}
		if a.text == "" {
			return action{}, wrongLine("/file needs a path, such as /file message.json")
		}
		return a, nil
	}
	return action{}, wrongLine("there is no command %s; /help lists the commands, and // sends a text that begins with a slash", shortQuote(name))
}

// parseClose returns the action for the arguments of /close.
func parseClose(rest string) (action, error) {
	number, reason, _ := strings.Cut(rest, " ")
	code, err := strconv.Atoi(cmp.Or(number, "1000"))
	reason = strings.TrimSpace(reason)
	sendable := code >= 1000 && code <= 1014 && (code < 1004 || code > 1006) || code >= 3000 && code <= 4999
	switch {
	case err != nil || !sendable:
		return action{}, wrongLine("%s is no close code that may be sent: 1000 to 1003, 1007 to 1014, or 3000 to 4999", shortQuote(number))
	case len(reason) > 123:
		return action{}, wrongLine("the reason has %d bytes, and a close frame has room for 123", len(reason))
	case !utf8.ValidString(reason):
		return action{}, wrongLine("the reason is not UTF-8")
	}
	return action{kind: actClose, code: websocket.StatusCode(code), text: reason}, nil
}

// load returns the action that sends the file of an action. It reads regular files only:
// a read of others may block.
func (a action) load(limit int64) (action, error) {
	info, err := os.Stat(a.text)
	switch {
	case err != nil:
		return action{}, usageError{fmt.Errorf("/file: %w", err)}
	case !info.Mode().IsRegular():
		return action{}, wrongLine("/file: %s is not a regular file", a.text)
	}
	in, err := os.Open(a.text)
	if err != nil {
		return action{}, usageError{fmt.Errorf("/file: %w", err)}
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return action{}, usageError{fmt.Errorf("/file: %w", err)}
	case int64(len(b)) > limit:
		return action{}, wrongLine("/file: %s is longer than %d bytes; --write-limit changes that", a.text, limit)
	case a.typ == websocket.MessageText && !utf8.Valid(b):
		return action{}, wrongLine("/file: %s is not UTF-8, which a text message must be; send it as binary", a.text)
	case a.typ == 0 && utf8.Valid(b):
		a.typ = websocket.MessageText
	case a.typ == 0:
		a.typ = websocket.MessageBinary
	}
	return action{typ: a.typ, text: string(b)}, nil
}

func wrongLine(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// shortQuote quotes the beginning of a text of the input.
func shortQuote(s string) string {
	if len(s) > 40 {
		return quote.Quote(s[:40]) + "…"
	}
	return quote.Quote(s)
}

// A lineReader reads lines of a limited length.
type lineReader struct {
	in    *bufio.Reader
	limit int64
}

func newLineReader(r io.Reader, limit int64) *lineReader {
	return &lineReader{bufio.NewReaderSize(r, 64<<10), limit}
}

// next returns the next line without its line end. The last one needs none.
func (r *lineReader) next() (string, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		line = append(line, part...)
		whole := err == nil
		if whole {
			line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
		}
		unfinished := errors.Is(err, bufio.ErrBufferFull)
		switch over := int64(len(line)) - r.limit; {
		case over > 1, over == 1 && !unfinished: // one more may be a carriage return
			return "", wrongLine("the line is longer than %d bytes; --write-limit changes that", r.limit)
		case whole, errors.Is(err, io.EOF) && len(line) > 0:
			return string(line), nil
		case !unfinished:
			return "", err
		}
	}
}
