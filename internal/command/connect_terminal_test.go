package command

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/term"
)

// TestRestoreOnPanic checks that a panic of a goroutine restores the terminal.
func TestRestoreOnPanic(t *testing.T) {
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Logf("no terminal to test with: %v", err)
		return
	}
	defer f.Close()
	fd := int(f.Fd())
	mode := func() term.State {
		s, err := term.GetState(fd)
		if err != nil {
			t.Fatal(err)
		}
		return *s
	}
	before := mode()
	if err := makeRaw(fd); err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(before, mode()) {
		t.Error("the terminal is not in raw mode")
	}
	remakeRaw()
	func() {
		defer func() {
			if r := recover(); r != "broken" {
				t.Errorf("the panic is %v", r)
			}
		}()
		defer restoreOnPanic()
		panic("broken")
	}()
	if !reflect.DeepEqual(before, mode()) {
		t.Error("the terminal was not restored")
	}
	remakeRaw() // a process that continues after its end
	if !reflect.DeepEqual(before, mode()) {
		t.Error("the terminal is in raw mode again")
	}
}

// TestKeyboard checks what the editor gets, and when Ctrl-C interrupts.
func TestKeyboard(t *testing.T) {
	endless := "\x1b" + strings.Repeat("1", 40)
	for name, test := range map[string]struct {
		typed, want string
		ctrlC       int
		able        bool
	}{
		"text":       {"abc\r", "abc\r", 0, true},
		"Ctrl-C":     {"abc\x03def", "abc", 1, true},
		"no signals": {"abc\x03", "abc\x03", 1, false},
		"key":        {"\x1b[1;3Cx", "\x1b[1;3Cx", 0, true},
		"endless":    {endless, endless[:17] + "~" + endless[17:], 0, true},
		"invalid":    {"\xffü\xc3\xfe\ufffd\xc3\r", "\uffffü\uffff\uffff\uffff\uffff\r", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			interrupts := 0
			k := newKeyboard(func() bool { interrupts++; return test.able })
			k.read(strings.NewReader(test.typed))
			got, err := io.ReadAll(k)
			if string(got) != test.want || err != nil || interrupts != test.ctrlC {
				t.Errorf("got %q, %v, %d interrupts, want %q", got, err, interrupts, test.want)
			}
		})
	}
	k := newKeyboard(func() bool { return true })
	k.read(iotest.OneByteReader(strings.NewReader("ü\xc3東\xff")))
	if got, err := io.ReadAll(k); string(got) != "ü\uffff東\uffff" || err != nil {
		t.Errorf("one byte at a time: got %q, %v", got, err)
	}
	k = newKeyboard(func() bool { return true })
	k.read(strings.NewReader(strings.Repeat("a", maxTyped+100)))
	if n, err := io.Copy(io.Discard, k); err != errKeysLost || n != maxTyped+1 {
		t.Errorf("too many keys: got %d, %v", n, err)
	}
	k = newKeyboard(func() bool { return true })
	k.close()
	if n, err := k.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("closed: got %d, %v", n, err)
	}
}

// TestTerminalLines checks the lines that the editor returns for keys.
func TestTerminalLines(t *testing.T) {
	for name, test := range map[string]struct{ typed, want string }{
		"text":     {"a\rb\n", `["a" <nil>] ["b" <nil>]`},
		"a paste":  {"\x1b[200~a\rb\x1b[201~c\rd\r", `["a" <nil>] ["bc" <nil>] ["d" <nil>]`},
		"invalid":  {"\xff\xfe\xc3\ra\r", `["" the line was not sent: it has a byte that is not UTF-8] ["a" <nil>]`},
		"too long": {strings.Repeat("a", 5000) + "\ra\r", `["" the line was not sent: it has more than 4096 characters] ["a" <nil>]`},
	} {
		k := newKeyboard(func() bool { return true })
		k.read(strings.NewReader(test.typed))
		terminal := newTerminal(k, io.Discard)
		var lines []string
		for {
			line, err := terminal.next()
			if err == io.EOF {
				break
			}
			short, _, _ := strings.Cut(fmt.Sprint(err), ",")
			lines = append(lines, fmt.Sprintf("[%q %s]", line, short))
		}
		if got := strings.Join(lines, " "); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

// TestHistory checks the order, the repeats and the bound.
func TestHistory(t *testing.T) {
	h := &history{}
	for _, line := range []string{"a", "", "b", "b", "a"} {
		h.Add(line)
	}
	if !slices.Equal(h.lines, []string{"a", "b", "a"}) || h.Len() != 3 || h.At(1) != "b" {
		t.Errorf("got %q", h.lines)
	}
	for i := range 200 {
		h.Add(fmt.Sprint(i))
	}
	if h.Len() != maxHistory || h.At(0) != "199" {
		t.Errorf("got %d lines, the last is %q", h.Len(), h.At(0))
	}
}
