package migration_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"example.com/wsecho/ending"
)

const page = "../../docs/coming-from-gorilla.md"

// TestPage checks that the page quotes the Examples exactly. It also checks that the
// page names every Example, every field of Upgrader and every kind.
func TestPage(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	files, err := filepath.Glob("example_*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var code strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		code.WriteByte('\n')
		code.Write(b)
	}

	blocks := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) == 0 {
		t.Error("the page has no code")
	}
	for _, block := range blocks {
		switch lang, quoted := block[1], block[2]; {
		case lang == "go" && !quotes(code.String(), quoted, "\t"):
			t.Errorf("no example has this code:\n%s", quoted)
		case lang == "text" && !quotes(code.String(), quoted, "\t// "):
			t.Errorf("no example has this output:\n%s", quoted)
		case lang != "go" && lang != "text" && lang != "sh":
			t.Errorf("got a block in language %q, want go, text or sh", lang)
		}
	}

	names := regexp.MustCompile(`Example_\w+`)
	here := make(map[string]bool)
	for _, n := range names.FindAllString(text, -1) {
		here[n] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^func (Example_\w+)`).FindAllStringSubmatch(code.String(), -1) {
		if !here[m[1]] {
			t.Errorf("the page does not name %s", m[1])
		}
		delete(here, m[1])
	}
	for n := range here {
		t.Errorf("the page names %s, which does not exist", n)
	}

	for _, f := range reflect.VisibleFields(reflect.TypeFor[websocket.Upgrader]()) {
		if !strings.Contains(text, "| `"+f.Name+"` |") {
			t.Errorf("the page has no row for Upgrader.%s", f.Name)
		}
	}
	for _, k := range ending.Kinds() {
		if !strings.Contains(text, "\n| "+k.String()+" |") {
			t.Errorf("the page has no row for the kind %q", k)
		}
	}
}

// quotes reports whether code contains the lines of quoted, possibly with more
// indentation.
func quotes(code, quoted, indent string) bool {
	for depth := range 5 {
		prefix := strings.Repeat("\t", max(0, depth-1)) + indent
		if depth == 0 {
			prefix = strings.TrimLeft(indent, "\t")
		}
		var b strings.Builder
		for line := range strings.Lines(quoted) {
			if line != "\n" {
				b.WriteString(prefix)
			}
			b.WriteString(line)
		}
		if strings.Contains(code, "\n"+b.String()) {
			return true
		}
	}
	return false
}
