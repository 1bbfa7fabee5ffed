package command

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write docs/flags.md and the manual page")

// TestFlagsPage compares docs/flags.md and the manual page with the flags of all subcommands.
func TestFlagsPage(t *testing.T) {
	var line commandLine
	parser, err := newParser(&line, "", streams{io.Discard, io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"../../docs/flags.md": flagsPage(parser.Model), manFile: manPage(parser.Model)} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s differs from the flags; write it with: go test -run TestFlagsPage ./internal/command -update", file)
		}
	}
}

// flagsPage returns docs/flags.md.
func flagsPage(app *kong.Application) string {
	var b strings.Builder
	b.WriteString(`# Flags

This page is generated from the help:

    go test -run TestFlagsPage ./internal/command -update

A flag overrides its environment variable. An empty variable counts as not set.
` + "`wsecho --version` prints the version, and `--help` works for each subcommand.\n")
	for _, c := range app.Children {
		fmt.Fprintf(&b, "\n## wsecho %s\n\n    wsecho %s\n\n%s\n", c.Name, c.Summary(), c.Help)
		if c.Detail != "" {
			fmt.Fprintf(&b, "\n%s\n", c.Detail)
		}
		if c == app.DefaultCmd {
			fmt.Fprintf(&b, "\nThe word `%s` can be left out.\n", c.Name)
		}
		for _, arg := range c.Positional {
			fmt.Fprintf(&b, "\n`%s`: %s\n", arg.Summary(), arg.Help)
		}
		group := ""
		for _, f := range c.Flags {
			if f.Hidden {
				continue
			}
			if f.Group.Key != group {
				group = f.Group.Key
				fmt.Fprintf(&b, "\n### %s\n\n| flag | variable | default | meaning |\n|---|---|---|---|\n", strings.TrimSuffix(f.Group.Title, ":"))
			}
			name := "--" + f.Name
			if f.PlaceHolder != "" && !f.IsBool() {
				name += "=" + f.PlaceHolder
			}
			value := f.Default
			if value != "" {
				value = "`" + value + "`"
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", name, strings.Join(f.Envs, "`, `"), value, strings.ReplaceAll(f.Help, "*", `\*`))
		}
	}
	return b.String()
}
