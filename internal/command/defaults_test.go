package command

import (
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"example.com/wsecho/server"
)

// TestDocumentedDefaults compares the defaults that the documents name with those of the
// flags. TestDefaults, TestBenchDefaults and TestCheckOptions compare the latter with
// those of the packages, and TestFlagsPage compares docs/flags.md.
func TestDocumentedDefaults(t *testing.T) {
	var line commandLine
	parser, err := newParser(&line, "", streams{io.Discard, io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	defaultOf := func(flag string) string {
		for _, f := range parser.Model.DefaultCmd.Flags {
			switch {
			case "--"+f.Name != flag:
			case flag == "--max-conns":
				return strconv.Itoa(server.DefaultMaxConns)
			case flag == "--ping-timeout":
				return "10s"
			case f.HasDefault:
				return f.Default
			case flag == "--origin":
				return "own host only"
			case f.IsBool():
				return "off"
			default:
				return "none"
			}
		}
		t.Errorf("there is no flag %s", flag)
		return ""
	}
	compare := func(file, flag, text string) {
		t.Helper()
		// A text such as "10,000, or the limit" begins with the default.
		got := text
		if m := regexp.MustCompile(`^([\d,]*\d)(?: ?(s|KiB|MiB))?\b`).FindStringSubmatch(text); m != nil {
			got = strings.ReplaceAll(m[1], ",", "") + m[2]
		}
		if want := defaultOf(flag); got != want {
			t.Errorf("%s: the default of %s is %q, want %q", file, flag, text, want)
		}
	}

	for _, table := range []struct {
		file string
		row  *regexp.Regexp // with the groups flag and text
		rows int
	}{
		{"README.md", regexp.MustCompile("(?m)^\\| `(?P<flag>--[\\w-]+)` \\| `?(?P<text>[^|`]+?)`? \\|"), 10},
		{"docs/liveness.md", regexp.MustCompile("(?m)^\\| `(?P<flag>--[\\w-]+)` \\| [^|]+ \\| (?P<text>[^|]+) \\|$"), 3},
		{"docs/limits.md", regexp.MustCompile("(?m)^\\|[^|]+\\| (?P<text>[^|]+) \\| `(?P<flag>--[\\w-]+)`"), 12},
	} {
		found := table.row.FindAllStringSubmatch(document(t, table.file), -1)
		for _, m := range found {
			compare(table.file, m[table.row.SubexpIndex("flag")], m[table.row.SubexpIndex("text")])
		}
		if len(found) != table.rows {
			t.Errorf("%s: got %d rows with a default, want %d", table.file, len(found), table.rows)
		}
	}
	for _, sentence := range []struct{ file, pattern, flag string }{
		{"SECURITY.md", `memory budget \((.*?) by default\)`, "--memory-budget"},
		{"SECURITY.md", `a message of the read limit \((.*?)\)`, "--read-limit"},
		{"SECURITY.md", `and after (.*?) otherwise`, "--memory-wait"},
		{"docs/check-and-bench.md", "`--timeout` \\((.*?) by default\\)", "check --timeout"},
		{"docs/coming-from-gorilla.md", `\| .HandshakeTimeout. \|.* 0 means (.*?), not "off"`, "--handshake-timeout"},
		{"docs/coming-from-gorilla.md", `\| .ReadBufferSize. \|.* 0 means (.*?)\.`, "--read-buffer"},
		{"docs/coming-from-gorilla.md", `Ours is (\d+ \w+) by default`, "--read-limit"},
		{"docs/coming-from-gorilla.md", `The defaults are (\d+ s), `, "--ping-interval"},
		{"docs/coming-from-gorilla.md", `The defaults are \d+ s, (\d+ s) and`, "--ping-timeout"},
		{"docs/coming-from-gorilla.md", `The defaults are \d+ s, \d+ s and (\d+)\.`, "--max-missed"},
		{"docs/liveness.md", `The defaults give \((\d+) \+ 1\)`, "--max-missed"},
		{"docs/liveness.md", `The defaults give \(\d+ \+ 1\) × (.*?) \+`, "--ping-interval"},
		{"docs/limits.md", "`--max-age`, `--idle-timeout` and `--max-conns-per-ip` are (.*?) by default", "--max-age"},
		{"docs/limits.md", "`--max-age`, `--idle-timeout` and `--max-conns-per-ip` are (.*?) by default", "--idle-timeout"},
		{"docs/limits.md", "`--max-age`, `--idle-timeout` and `--max-conns-per-ip` are (.*?) by default", "--max-conns-per-ip"},
		{"docs/limits.md", "IPv6 prefix of `--ipv6-prefix` bits, (\\d+) by default", "--ipv6-prefix"},
		{"docs/limits.md", "Compression is (.*?) by default", "--compression"},
		{"docs/coming-from-gorilla.md", `\| .Compression. \| (.*?) by default in both`, "--compression"},
	} {
		text := strings.Join(strings.Fields(document(t, sentence.file)), " ")
		m := regexp.MustCompile(sentence.pattern).FindStringSubmatch(text)
		switch {
		case m == nil:
			t.Errorf("%s: no text matches %s", sentence.file, sentence.pattern)
		case sentence.flag == "check --timeout":
			if got := strings.ReplaceAll(m[1], " ", ""); got != checkDefault(t, parser.Model, "timeout") {
				t.Errorf("%s: the default of wsecho check --timeout is %q", sentence.file, got)
			}
		default:
			compare(sentence.file, sentence.flag, strings.ToLower(m[1][:1])+m[1][1:])
		}
	}
	// Every other sentence with a default must be in the list above.
	known := map[string]int{"SECURITY.md": 1, "docs/check-and-bench.md": 1, "docs/coming-from-gorilla.md": 2, "docs/limits.md": 3, "README.md": 0, "docs/liveness.md": 0}
	for file, want := range known {
		if got := strings.Count(strings.Join(strings.Fields(document(t, file)), " "), "by default"); got != want {
			t.Errorf("%s has %d sentences with a default, want %d; add a new one to this test", file, got, want)
		}
	}
}

// checkDefault returns the default of a flag of wsecho check.
func checkDefault(t *testing.T, app *kong.Application, name string) string {
	t.Helper()
	for _, c := range app.Children {
		for _, f := range c.Flags {
			if c.Name == "check" && f.Name == name {
				return f.Default
			}
		}
	}
	t.Errorf("wsecho check has no flag --%s", name)
	return ""
}

// document returns the text of a file of the repository.
func document(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
