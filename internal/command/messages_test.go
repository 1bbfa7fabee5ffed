package command

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/quote"
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
	{websocket.MessageText, "e\u0301\ufe0f\u3164", `"e\u0301\ufe0f\u3164"`},
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

// TestMessageJSON checks that a line of JSON has the message exactly, in printable text.
func TestMessageJSON(t *testing.T) {
	for _, test := range messageLines {
		line := messageJSON("192.0.2.1:5000", test.typ, []byte(test.p))
		text, ok := strings.CutSuffix(line, "\n")
		if !ok || strings.ContainsFunc(text, func(r rune) bool { return !quote.IsPrint(r) }) {
			t.Errorf("got %q, want one line of printable text", line)
		}
		got := map[string]any{}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(got["time"])); err != nil {
			t.Error(err)
		}
		delete(got, "time")
		want := map[string]any{"level": "INFO", "msg": "message", "remote": "192.0.2.1:5000", "bytes": float64(len(test.p))}
		shown := test.p[:min(len(test.p), 256)]
		if test.typ == websocket.MessageBinary {
			want["base64"] = base64.StdEncoding.EncodeToString([]byte(shown))
		} else {
			want["text"] = strings.ToValidUTF8(shown, "") // not a part of a rune
		}
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	const most = 6*maxPrinted + 200 // \u0000 for each byte
	if line := messageJSON("192.0.2.1:5000", websocket.MessageText, make([]byte, 10_000)); len(line) > most {
		t.Errorf("the line has %d bytes, want at most %d", len(line), most)
	}
	if line := messageJSON("192.0.2.1:5000", websocket.MessageText, []byte("\U000e0001\u202e")); !strings.Contains(line, `"text":"\udb40\udc01\u202e"`) {
		t.Errorf("unprintable characters are %s", line)
	}
}

// TestMessagesUnread prints messages without a reader. All callers together wait for one
// second. A later reader gets the number of dropped messages.
func TestMessagesUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := newMessageLog(w, false)
		start := time.Now()
		const extra = 50
		var wg sync.WaitGroup
		for i := range 1 + maxQueued { // the writer holds one
			l.writeLine(fmt.Sprintf("%d\n", i))
			synctest.Wait()
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("filling the queue took %v, want 0s", d)
		}
		for range extra {
			wg.Go(func() { l.writeLine("lost\n") })
		}
		wg.Wait()
		l.writeLine("lost\n")
		if d := time.Since(start); d != maxWait {
			t.Errorf("the callers waited %v, want %v", d, maxWait)
		}
		lines := make(chan string)
		go func() {
			defer close(lines)
			for s := bufio.NewScanner(r); s.Scan(); {
				lines <- s.Text()
			}
		}()
		want := []string{"0", fmt.Sprintf("(%d messages not shown: stdout was not read in time)", extra+1)}
		for i := range maxQueued {
			want = append(want, fmt.Sprint(i+1))
		}
		want = append(want, "again")
		for i, line := range want {
			if i == len(want)-1 {
				l.writeLine("again\n")
			}
			if got := <-lines; got != line {
				t.Fatalf("line %d: got %q, want %q", i, got, line)
			}
		}
		l.close()
		w.Close()
		if line, more := <-lines; more {
			t.Errorf("got %q after close", line)
		}
		if d := time.Since(start); d != maxWait {
			t.Errorf("the test took %v, want %v", d, maxWait)
		}
	})
}

// TestMessagesStuck closes the log without a reader.
func TestMessagesStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := newMessageLog(w, false)
		l.writeLine("x\n")
		start := time.Now()
		l.close()
		if d := time.Since(start); d != maxWait {
			t.Errorf("close took %v, want %v", d, maxWait)
		}
		r.Close()
	})
}

// FuzzMessageLine checks that messageLine returns one line of printable text that
// quotes the message.
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
		if !ok || strings.ContainsFunc(line, func(r rune) bool { return !quote.IsPrint(r) }) {
			t.Fatalf("got %q, want one line of printable text", line)
		}
		if len(line) > 4*maxPrinted+100 {
			t.Fatalf("the line has %d bytes", len(line))
		}
		quoted, err := strconv.QuotedPrefix(strings.TrimPrefix(line, "[::1]:1 sent: "))
		if err != nil {
			t.Fatal(err)
		}
		got, err := strconv.Unquote(quoted)
		if err != nil || !strings.HasPrefix(string(p), got) || len(got) < min(len(p), maxPrinted-3) {
			t.Fatalf("the line of %q quotes %q, %v", p, got, err)
		}
	})
}
