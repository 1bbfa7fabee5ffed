package command

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestParseAction checks what a line means, and the sentence about a wrong one.
func TestParseAction(t *testing.T) {
	text := func(s string) action { return action{typ: websocket.MessageText, text: s} }
	for line, want := range map[string]action{
		"":                         text(""),
		" /ping":                   text(" /ping"),
		"//":                       text("/"),
		"///x":                     text("//x"),
		"/ping":                    {kind: actPing},
		"/ping ":                   {kind: actPing},
		"/help":                    {kind: actHelp},
		"/close":                   {kind: actClose, code: 1000},
		"/close 4999  two  words ": {kind: actClose, code: 4999, text: "two  words"},
		"/close 1014":              {kind: actClose, code: 1014},
		"/binary":                  {typ: websocket.MessageBinary},
		"/binary 0aF F":            {typ: websocket.MessageBinary, text: "\x0a\xff"},
		"/file a b.json":           {kind: actFile, text: "a b.json"},
		"/file a b text":           {kind: actFile, text: "a b", typ: websocket.MessageText},
		"/file text binary":        {kind: actFile, text: "text", typ: websocket.MessageBinary},
		"/file text":               {kind: actFile, text: "text"},
		"/close 4000 " + strings.Repeat("r", 123): {kind: actClose, code: 4000, text: strings.Repeat("r", 123)},
	} {
		if got, err := parseAction(line, true); got != want || err != nil {
			t.Errorf("%q: got %+v, %v, want %+v", line, got, err, want)
		}
	}
	for line, want := range map[string]string{
		"/":           `there is no command "/"; /help lists`,
		"/PING":       `there is no command "/PING"`,
		"/ping x":     `/ping takes no arguments, and "x" follows it`,
		"/close 1005": `"1005" is no close code that may be sent: 1000 to 1003, `,
		"/close 999":  `"999" is no close code`,
		"/close 5000": `"5000" is no close code`,
		"/close bye":  `"bye" is no close code`,
		"/close 4000 " + strings.Repeat("r", 124): `the reason has 124 bytes, and a close frame has room for 123`,
		"/close 4000 \xff":                        `the reason is not UTF-8`,
		"/binary 0":                               `"0" is not pairs of hexadecimal digits`,
		"/binary xx":                              `"xx" is not pairs`,
		"/file":                                   `/file needs a path`,
		"\xff":                                    `the line is not UTF-8`,
	} {
		if _, err := parseAction(line, true); err == nil || !strings.HasPrefix(err.Error(), want) || exitCode(err) != exitUsage {
			t.Errorf("%q: got %v, want %s", line, err, want)
		}
	}
	if got, err := parseAction("//x", false); got != text("//x") || err != nil {
		t.Errorf("without commands: got %+v, %v", got, err)
	}
	for path, want := range map[string]string{"no-such-file": "/file: stat no-such-file: ", ".": "/file: . is not a regular file", os.DevNull: "is not a regular file"} {
		if _, err := (action{kind: actFile, text: path}).load(1); err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != exitUsage {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
}

// TestMessageText checks the line about a message on a terminal.
func TestMessageText(t *testing.T) {
	for _, test := range []struct {
		typ   websocket.MessageType
		p     string
		limit int
		want  string
	}{
		{websocket.MessageText, "", 10, `text, 0 bytes: ""`},
		{websocket.MessageText, "\x1b[2J\u009b\u202e", 100, `text, 9 bytes: "\x1b[2J\u009b\u202e"`},
		{websocket.MessageText, "aé", 2, `text, 3 bytes: "a" (the first 1 bytes; --show=off shows all)`},
		{websocket.MessageText, "abc", off, `text, 3 bytes: "abc"`},
		{websocket.MessageBinary, "\x00\xff\x01", 2, `binary, 3 bytes: 00ff (the first 2 bytes; --show=off shows all)`},
		{websocket.MessageBinary, "\x00", 2, `binary, 1 byte: 00`},
	} {
		if got := messageText(test.typ, []byte(test.p), test.limit); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// TestLineReader checks line ends, lines that are longer than a buffer, and the limit.
func TestLineReader(t *testing.T) {
	const limit = 3*(64<<10) - 1 // the carriage return ends a buffer
	long := strings.Repeat("a", limit)
	r := newLineReader(strings.NewReader(long+"\r\na\r\n\n\r\r\n"+long+"\nlast"), limit)
	for _, want := range []string{long, "a", "", "\r", long, "last"} {
		if got, err := r.next(); got != want || err != nil {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
		}
	}
	if _, err := r.next(); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
	for _, text := range []string{long + "a\n", long + "a", long + long + long} {
		if _, err := newLineReader(strings.NewReader(text), limit).next(); err == nil || !strings.Contains(err.Error(), "longer than 196607 bytes; --write-limit") {
			t.Errorf("got %v, want a sentence about the limit", err)
		}
	}
}
