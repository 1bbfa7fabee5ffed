package command

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// rawTerminal is the terminal whose mode this process has changed. Each way out of the
// process restores it, except SIGKILL and a failure of the Go runtime.
var rawTerminal struct {
	sync.Mutex
	fd    int
	state *term.State // before the change; nil if there is none
}

// makeRaw puts a terminal into raw mode. After the process was stopped it does so again.
func makeRaw(fd int) error {
	rawTerminal.Lock()
	defer rawTerminal.Unlock()
	state, err := term.MakeRaw(fd)
	if err == nil && rawTerminal.state == nil {
		rawTerminal.fd, rawTerminal.state = fd, state
	}
	return err
}

// remakeRaw puts the terminal into raw mode again, unless it was restored.
func remakeRaw() {
	rawTerminal.Lock()
	defer rawTerminal.Unlock()
	if rawTerminal.state != nil {
		_, _ = term.MakeRaw(rawTerminal.fd) // the terminal is gone if it fails
	}
}

// restoreTerminal restores the mode of the terminal.
func restoreTerminal() {
	rawTerminal.Lock()
	defer rawTerminal.Unlock()
	if rawTerminal.state != nil {
		_ = term.Restore(rawTerminal.fd, rawTerminal.state) // the terminal is gone if it fails
		rawTerminal.state = nil
	}
}

// restoreOnPanic restores the terminal if the goroutine panics. It is for defer.
func restoreOnPanic() {
	if r := recover(); r != nil {
		restoreTerminal()
		panic(r)
	}
}

// A terminal edits lines, with a history, while others write.
type terminal struct {
	*term.Terminal
	in, out *os.File
	keys    *keyboard
	tooLong bool // a key of the line was not accepted
	unwatch func()
}

// maxEdited is the length of the longest line that term.Terminal edits, in characters.
const maxEdited = 4096

// openTerminal puts the terminal into raw mode. The caller must call close.
func openTerminal(in, out *os.File) (*terminal, error) {
	if err := makeRaw(int(in.Fd())); err != nil {
		return nil, err
	}
	t := newTerminal(newKeyboard(interruptSelf), out)
	t.in, t.out = in, out
	t.resize()
	t.unwatch = watchTerminal(t)
	go t.keys.read(in) // a read of a terminal cannot be interrupted
	return t, nil
}

// newTerminal returns an editor of what is typed.
func newTerminal(keys *keyboard, out io.Writer) *terminal {
	t := &terminal{keys: keys}
	t.Terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, out}, "> ")
	t.History = &history{}
	t.AutoCompleteCallback = func(line string, _ int, key rune) (string, int, bool) {
		if key >= ' ' && utf8.RuneCountInString(line) >= maxEdited {
			t.tooLong = true
		}
		return "", 0, false
	}
	return t
}

// resize tells the editor the size of the terminal.
func (t *terminal) resize() {
	if width, height, err := term.GetSize(int(t.out.Fd())); err == nil && width > 0 {
		_ = t.SetSize(width, height) // the next write reports the error
	}
}

// next returns the next line.
func (t *terminal) next() (string, error) {
	line, err := t.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) { // about a line that is whole
		err = nil
	}
	tooLong := t.tooLong
	t.tooLong = false
	switch {
	case err != nil:
		return "", err
	case tooLong:
		return "", wrongLine("the line was not sent: it has more than %d characters, which cannot be edited; /file sends a file", maxEdited)
	case strings.ContainsRune(line, badKey):
		return "", wrongLine("the line was not sent: it has a byte that is not UTF-8, or U+FFFD or U+FFFF, which cannot be edited; /file sends a file")
	}
	return line, nil
}

// close erases the prompt and restores the terminal. A nil terminal has nothing to close.
func (t *terminal) close() {
	if t == nil {
		return
	}
	t.unwatch()
	t.keys.close()
	_, _ = io.WriteString(t.out, "\r\x1b[K")
	restoreTerminal()
}

// interruptSelf sends the signal of Ctrl-C to this process, as a terminal that is not in
// raw mode does. It reports whether the system can do that.
func interruptSelf() bool {
	p, err := os.FindProcess(os.Getpid())
	return err == nil && p.Signal(os.Interrupt) == nil
}

const (
	ctrlC       = 3
	escapeKey   = 0x1b
	maxTyped    = 1 << 20 // keys that wait for the editor
	maxSequence = 16      // bytes of a key that is a sequence of several
	// badKey stands for an invalid byte and for U+FFFD. The editor takes both for the
	// beginning of a key, and would wait for the next one.
	badKey = '\uffff'
)

var errKeysLost = errors.New("more than 1 MiB was typed while a message could not be sent")

// A keyboard holds the keys between the terminal and the editor. It sees Ctrl-C also while
// the editor waits for a message to be sent.
type keyboard struct {
	interrupt func() bool

	mu       sync.Mutex
	changed  sync.Cond
	typed    []byte
	partial  []byte // of a character
	sequence int    // bytes of an unfinished sequence
	err      error
}

func newKeyboard(interrupt func() bool) *keyboard {
	k := &keyboard{interrupt: interrupt}
	k.changed.L = &k.mu
	return k
}

// read reads keys until the terminal ends.
func (k *keyboard) read(in io.Reader) {
	defer restoreOnPanic()
	buffer := make([]byte, 4<<10)
	for {
		n, err := in.Read(buffer)
		if i := slices.Index(buffer[:n], ctrlC); i >= 0 && k.interrupt() {
			n = i // otherwise Ctrl-C would end the input of the editor
		}
		k.mu.Lock()
		k.addText(buffer[:n])
		if err == nil && len(k.typed) > maxTyped {
			err = errKeysLost
		}
		if k.err == nil {
			k.err = err
		}
		k.changed.Broadcast()
		k.mu.Unlock()
		if err != nil && err != errKeysLost {
			return
		}
	}
}

// addText adds the characters of p. An unfinished one waits for its end.
func (k *keyboard) addText(p []byte) {
	k.partial = append(k.partial, p...)
	rest := k.partial
	for utf8.FullRune(rest) {
		r, size := utf8.DecodeRune(rest)
		key := rest[:size]
		if r == utf8.RuneError {
			key = []byte(string(badKey))
		}
		for _, b := range key {
			k.add(b)
		}
		rest = rest[size:]
	}
	k.partial = append(k.partial[:0], rest...)
}

// add adds a byte. The editor would wait without end inside an endless sequence, so a long
// one is ended.
func (k *keyboard) add(b byte) {
	if len(k.typed) > maxTyped {
		return
	}
	k.typed = append(k.typed, b)
	letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '~'
	switch {
	case b == escapeKey:
		k.sequence = 1
	case k.sequence == 0 || letter:
		k.sequence = 0
	case k.sequence == maxSequence:
		k.typed = append(k.typed, '~')
		k.sequence = 0
	default:
		k.sequence++
	}
}

// Read returns the next keys. It blocks until there are some, or until close.
func (k *keyboard) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.typed) == 0 && k.err == nil {
		k.changed.Wait()
	}
	if len(k.typed) == 0 {
		return 0, k.err
	}
	n := copy(p, k.typed)
	k.typed = slices.Delete(k.typed, 0, n)
	return n, nil
}

// close ends the Read.
func (k *keyboard) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.typed = nil
	if k.err == nil {
		k.err = io.EOF
	}
	k.changed.Broadcast()
}

// A history has the last lines, without empty ones and repeats.
type history struct{ lines []string }

// maxHistory is the number of lines of a history.
const maxHistory = 100

func (h *history) Add(line string) {
	if line == "" || len(h.lines) > 0 && h.lines[0] == line {
		return
	}
	h.lines = slices.Insert(h.lines, 0, line)
	h.lines = h.lines[:min(len(h.lines), maxHistory)]
}

func (h *history) Len() int        { return len(h.lines) }
func (h *history) At(i int) string { return h.lines[i] }
