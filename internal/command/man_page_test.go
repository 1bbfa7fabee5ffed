package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"example.com/wsecho/internal/testfull"
)

// manFile is the manual page. TestFlagsPage writes it.
const manFile = "../../deploy/man/wsecho.1"

// TestManPage checks the manual page with three formatters.
func TestManPage(t *testing.T) {
	for _, tool := range [][]string{
		{"mandoc", "-T", "lint", "-W", "warning", manFile},
		{"groff", "-man", "-ww", "-z", "-Tutf8", manFile},
		{"man", "--warnings", "--encoding=UTF-8", "--local-file", manFile},
	} {
		t.Run(tool[0], func(t *testing.T) {
			if _, err := exec.LookPath(tool[0]); err != nil {
				testfull.Missing(t, "%v", err)
			}
			var stdout, stderr strings.Builder
			command := exec.CommandContext(t.Context(), tool[0], tool[1:]...)
			command.Stdout, command.Stderr = &stdout, &stderr
			command.Env = append(os.Environ(), "MANPAGER=cat", "MANWIDTH=80")
			err := command.Run()
			if exit := (*exec.ExitError)(nil); err != nil && !(tool[0] == "mandoc" && errors.As(err, &exit)) {
				t.Errorf("%v: %s", err, stderr.String())
			}
			complaints := stderr.String()
			if tool[0] == "mandoc" {
				complaints = stdout.String()
			}
			for _, line := range strings.Split(strings.TrimSpace(complaints), "\n") {
				// The page changes with the flags, and has no date of its own.
				if line != "" && !strings.Contains(line, "missing date") {
					t.Error(line)
				}
			}
			if tool[0] == "man" && !strings.Contains(stdout.String(), "--ping-interval=20s") {
				t.Errorf("the formatted page has no --ping-interval=20s:\n%.2000s", stdout.String())
			}
		})
	}
}

// manPage returns the manual page in the language of man(7).
func manPage(app *kong.Application) string {
	m := &manWriter{}
	m.line(`.\" Generated from the help: go test -run TestFlagsPage ./internal/command -update`)

	m.line(`.TH WSECHO 1 "" "" "User Commands"`)
	m.line(".nh")
	m.line(".ad l")
	m.section("NAME")
	m.text("wsecho - WebSocket echo server, and a check and a benchmark of WebSocket servers")
	m.section("SYNOPSIS")
	for i, c := range app.Children {
		if i > 0 {
			m.line(".br")
		}
		name, rest, _ := strings.Cut(c.Summary(), " ")
		if c == app.DefaultCmd {
			name = "[" + name + "]"
		}
		m.line(`.B wsecho ` + roff(name))
		m.text(rest)
	}
	m.section("DESCRIPTION")
	m.text("wsecho without a command runs wsecho serve. Results go to stdout, and the log and errors to stderr.")
	for _, c := range app.Children {
		m.section("WSECHO " + strings.ToUpper(c.Name))
		m.text(c.Help)
		for _, paragraph := range strings.Split(c.Detail, "\n\n") {
			if paragraph != "" {
				m.line(".PP")
				m.text(paragraph)
			}
		}
		for _, arg := range c.Positional {
			m.item(arg.Summary(), arg.Help)
		}
		group := ""
		for _, f := range c.Flags {
			if f.Hidden {
				continue
			}
			if f.Group.Key != group {
				group = f.Group.Key
				m.line(".SS " + quoteRoff(strings.TrimSuffix(f.Group.Title, ":")))
			}
			name := "--" + f.Name
			if !f.IsBool() {
				name += "=" + f.FormatPlaceHolder()
			}
			m.item(name, fmt.Sprintf("%s Variable: %s.", f.Help, strings.Join(f.Envs, ", ")))
		}
	}
	m.section("ENVIRONMENT")
	m.text("Each flag has the variable that is named beside it. A flag overrides its variable. An empty variable counts as not set.")
	m.item("GOMEMLIMIT, GOGC, GOMAXPROCS", "Override what the server derives from the limits of its container.")
	m.section("EXIT STATUS")
	m.item("0", "Success. A server that a signal has stopped also returns 0.")
	m.item("1", "Failure.")
	m.item("2", "A mistake in the arguments or variables.")
	m.item("3-10", "wsecho check, probe and connect only: the step that has failed, or how the connection ended.")
	m.item("128+N", "A second signal, with the number N, ended the process at once.")
	m.section("EXAMPLES")
	m.item("wsecho --addr=:9000 --origin=https://*.example.com", "Serve on port 9000 for pages of one site.")
	m.item("wsecho check wss://echo.example.com/", "Check that a server works.")
	m.item("wsecho connect wss://echo.example.com/", "Talk to a server by hand.")
	m.item("wsecho bench ws://localhost:8080/ ws://localhost:9000/", "Compare two servers.")
	return m.b.String()
}

// A manWriter writes a manual page.
type manWriter struct{ b strings.Builder }

func (m *manWriter) line(text string)    { m.b.WriteString(text + "\n") }
func (m *manWriter) section(name string) { m.line(".SH " + quoteRoff(name)) }

// text writes a paragraph, one sentence for each line.
func (m *manWriter) text(text string) {
	text = roff(strings.TrimSpace(text))
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	if text != "" {
		m.line(strings.ReplaceAll(text, ". ", ".\n"))
	}
}

// item writes a term and its description.
func (m *manWriter) item(term, text string) {
	m.line(".TP")
	m.line(".B " + quoteRoff(term))
	m.text(text)
}

func quoteRoff(text string) string { return `"` + roff(text) + `"` }

// roff escapes a text. A hyphen is one that can be copied to a command line.
func roff(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '"':
			b.WriteString(`\(dq`)
		case r > 126:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
