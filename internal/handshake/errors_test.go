package handshake

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestPrintable(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"empty":        {"", ""},
		"a sentence":   {`x509: "a", not b`, `x509: "a", not b`},
		"letters":      {"Zürich 東京", "Zürich 東京"},
		"control":      {"404 \x1b[31mNo", `"404 \x1b[31mNo"`},
		"lines":        {"a\r\nb", `"a\r\nb"`},
		"turns text":   {"a\u202eb", `"a\u202eb"`},
		"combining":    {"e\u0301\u034f\ufe0f", `"e\u0301\u034f\ufe0f"`},
		"invisible":    {"a\u3164", `"a\u3164"`},
		"no UTF-8":     {"a\x9bb", `"a\x9bb"`},
		"200":          {strings.Repeat("a", 200), strings.Repeat("a", 200)},
		"201":          {strings.Repeat("a", 201), strings.Repeat("a", 200) + "…"},
		"whole runes":  {strings.Repeat("ü", 99) + "a東", strings.Repeat("ü", 99) + "a…"},
		"long control": {strings.Repeat("\x1b", 300), `"` + strings.Repeat(`\x1b`, 49) + `"…`},
		"behind it":    {strings.Repeat("a", 300) + "\x1b", `"` + strings.Repeat("a", 198) + `"…`},
		"no end":       {strings.Repeat("\x80", 1<<20), `"` + strings.Repeat(`\x80`, 49) + `"…`},
	} {
		if got := Printable(test.text); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestQuoted(t *testing.T) {
	for text, want := range map[string]string{
		"":                       `""`,
		" a b\r\n":               `"a b"`,
		"\x1b[31m\"":             `"\x1b[31m\""`,
		"e\u0301\ufe0f\u3164":    `"e\u0301\ufe0f\u3164"`,
		strings.Repeat("a", 200): `"` + strings.Repeat("a", 200) + `"`,
		strings.Repeat("a", 201): `"` + strings.Repeat("a", 200) + `"…`,
	} {
		if got := Quoted([]byte(text)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestInnermost(t *testing.T) {
	of := func(err error) error {
		return fmt.Errorf("an answer: %w", &net.OpError{Op: "read", Net: "tcp", Addr: &net.TCPAddr{Port: 1}, Err: err})
	}
	for want, err := range map[string]error{
		"EOF":                      io.EOF,
		"something":                of(errors.New("something")),
		syscall.ECONNRESET.Error(): of(os.NewSyscallError("read", syscall.ECONNRESET)),
	} {
		if got := Innermost(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}
