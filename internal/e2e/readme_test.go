package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/command"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReadmeProgram builds the program that the README shows for embedding, in a
// module of its own.
func TestReadmeProgram(t *testing.T) {
	var program []string
	for line := range strings.Lines(readme(t)) {
		code, ok := strings.CutPrefix(line, "    ")
		switch {
		case ok && (len(program) > 0 || code == "package main\n"):
			program = append(program, code)
		case len(program) > 0 && strings.TrimSpace(line) == "":
			program = append(program, "\n")
		case len(program) > 0:
			goto found
		}
	}
found:
	if len(program) < 10 {
		t.Fatalf("the README shows no program: %q", program)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sum, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"main.go": strings.Join(program, ""),
		"go.sum":  string(sum),
		"go.mod":  "module example.com/embedding\n\ngo 1.25\n\nrequire example.com/wsecho v0.0.0\n\nreplace example.com/wsecho => " + root + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", os.DevNull, ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReadmeTables holds the tables of flags and of endings to what there is.
func TestReadmeTables(t *testing.T) {
	text := readme(t)
	var help strings.Builder
	for _, args := range [][]string{{"--help"}, {"bench", "--help"}, {"check", "--help"}} {
		if code := command.Run(t.Context(), "", args, &help, &help); code != 0 {
			t.Fatalf("%q: exit code %d", args, code)
		}
	}
	for _, flag := range regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`).FindAllStringSubmatch(help.String(), -1) {
		if name := flag[1]; name != "--help" && name != "--version" && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the README does not have %s", name)
		}
	}
	for _, flag := range regexp.MustCompile("`(--[a-z-]+)`").FindAllStringSubmatch(text, -1) {
		if !strings.Contains(help.String(), flag[1]+"=") && !strings.Contains(help.String(), flag[1]+" ") {
			t.Errorf("the README has %s, and the help has not", flag[1])
		}
	}
	_, table, _ := strings.Cut(text, "| kind | what happened |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, kind := range ending.Kinds() {
		if !regexp.MustCompile(`(?m)^\|[^|]*\b` + kind.String() + `\b[^|]*\|`).MatchString(table) {
			t.Errorf("the README's table of endings has no row for %q", kind)
		}
	}
}
