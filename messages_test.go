package main

import (
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/coder/websocket"
)

var messageLines = []struct {
	typ  websocket.MessageType
	p    string
	want string
}{
	{websocket.MessageText, "hello", `"hello"`},
	{websocket.MessageText, "", `""`},
	{websocket.MessageText, "\x1b[2J\r\n\u202e\u0085", `"\x1b[2J\r\n\u202e\u0085"`},
	{websocket.MessageText, `"`, `"\""`},
	{websocket.MessageBinary, "\x00\xff", `"\x00\xff" (binary)`},
	{websocket.MessageText, strings.Repeat("x", 256), `"` + strings.Repeat("x", 256) + `"`},
	{websocket.MessageText, strings.Repeat("x", 257), `"` + strings.Repeat("x", 256) + `" (256 of 257 bytes)`},
	{websocket.MessageText, "x" + strings.Repeat("é", 200), `"x` + strings.Repeat("é", 127) + `" (255 of 401 bytes)`},
	{websocket.MessageText, "xyz" + strings.Repeat("💬", 200), `"xyz` + strings.Repeat("💬", 63) + `" (255 of 803 bytes)`},
	{websocket.MessageBinary, strings.Repeat("\xf0", 300), `"` + strings.Repeat(`\xf0`, 256) + `" (binary, 256 of 300 bytes)`},
}

func TestMessageLine(t *testing.T) {
	for _, test := range messageLines {
		got := messageLine("192.0.2.1:5000", test.typ, []byte(test.p))
		if want := "192.0.2.1:5000 sent: " + test.want + "\n"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// FuzzMessageLine: it is one line of printable text, and tells what was sent.
func FuzzMessageLine(f *testing.F) {
	for _, test := range messageLines {
		f.Add(test.typ == websocket.MessageBinary, []byte(test.p))
	}
	f.Fuzz(func(t *testing.T, binary bool, p []byte) {
		typ := websocket.MessageText
		if binary {
			typ = websocket.MessageBinary
		}
		line, ok := strings.CutSuffix(messageLine("[::1]:1", typ, p), "\n")
		if !ok || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q is not a line of printable text", line)
		}
		if len(line) > 4*mostPrinted+100 {
			t.Fatalf("%d bytes are a long line", len(line))
		}
		quoted, err := strconv.QuotedPrefix(strings.TrimPrefix(line, "[::1]:1 sent: "))
		if err != nil {
			t.Fatal(err)
		}
		got, err := strconv.Unquote(quoted)
		if err != nil || !strings.HasPrefix(string(p), got) || len(got) < min(len(p), mostPrinted-3) {
			t.Fatalf("%q is told as %q, %v", p, got, err)
		}
	})
}
