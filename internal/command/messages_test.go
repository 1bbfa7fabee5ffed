package command

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
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

// TestMessagesUnread prints where nobody reads: nothing waits for that for long,
// and when somebody reads again, they learn what they have missed.
func TestMessagesUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := newMessageLog(w)
		start := time.Now()
		const extra = 50
		var wg sync.WaitGroup
		for i := range 1 + linesAhead { // one is being written
			l.add(fmt.Sprintf("%d\n", i))
			synctest.Wait()
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %v to print what there is room for", d)
		}
		for range extra {
			wg.Go(func() { l.add("lost\n") })
		}
		wg.Wait()
		l.add("lost\n")
		if d := time.Since(start); d != linesWait {
			t.Errorf("all together have waited %v, want %v", d, linesWait)
		}
		lines := make(chan string)
		go func() {
			defer close(lines)
			for s := bufio.NewScanner(r); s.Scan(); {
				lines <- s.Text()
			}
		}()
		want := []string{"0", fmt.Sprintf("(%d messages are not shown: nobody took the lines)", extra+1)}
		for i := range linesAhead {
			want = append(want, fmt.Sprint(i+1))
		}
		want = append(want, "again")
		for i, line := range want {
			if i == len(want)-1 {
				l.add("again\n")
			}
			if got := <-lines; got != line {
				t.Fatalf("line %d: got %q, want %q", i, got, line)
			}
		}
		l.end()
		w.Close()
		if line, more := <-lines; more {
			t.Errorf("got %q at the end", line)
		}
		if d := time.Since(start); d != linesWait {
			t.Errorf("it took %v in all, want %v", d, linesWait)
		}
	})
}

// TestMessagesStuck ends while nobody reads.
func TestMessagesStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := newMessageLog(w)
		l.add("x\n")
		start := time.Now()
		l.end()
		if d := time.Since(start); d != linesWait {
			t.Errorf("the end took %v, want %v", d, linesWait)
		}
		r.Close()
	})
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
