package docs

import (
	"bufio"
	"cmp"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// startTime is the longest time that a process may need to start and to answer.
const startTime = 30 * time.Second

// build builds a package of the project and returns the path of the program.
func build(t *testing.T, dir string, args ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-pgo=off", "-o", program}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// A process is a server that runs until the end of the test, or until stop.
type process struct {
	cmd   *exec.Cmd
	lines chan string // of stderr
}

func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), lines: make(chan string, 100)}
	p.cmd.Env = append(os.Environ(), "WSECHO_ADMIN_ADDR=off")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for in := bufio.NewScanner(stderr); in.Scan(); {
			p.lines <- in.Text()
		}
	}()
	t.Cleanup(p.stop)
	return p
}

// stop ends the process and waits for it. It may be called again.
func (p *process) stop() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	for range p.lines { // until the process closes it
	}
	_ = p.cmd.Wait() // its exit code is another test's
}

// line returns the next line of stderr that contains text.
func (p *process) line(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(startTime)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("the process ended without a line with %q", text)
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			t.Fatalf("no line with %q within %v", text, startTime)
		}
	}
}

// TestReadmeLength checks that the README stays short.
func TestReadmeLength(t *testing.T) {
	if n := strings.Count(read(t, "../README.md"), "\n"); n > 150 {
		t.Errorf("got %d lines, want at most 150", n)
	}
}

func TestReadme(t *testing.T) {
	t.Parallel()
	program := build(t, "..", ".")
	t.Run("commands", func(t *testing.T) { testCommands(t, program) })
	t.Run("flags", func(t *testing.T) { testFlags(t, program) })
}

// testCommands runs the commands of the README in their order, and compares the
// output. Times, ports and sizes may differ.
func testCommands(t *testing.T, program string) {
	if _, err := exec.LookPath("sh"); err != nil {
		testfull.Missing(t, "%v", err)
	}
	var server *process
	port := "8080"
	here := func(text string) string { return strings.ReplaceAll(text, "8080", port) }
	tested := 0
	for _, block := range consoles(read(t, "../README.md")) {
		for i, step := range block {
			command, want := step[0], step[1]
			switch {
			case command == "go build" || i == 0 && command == "" && !strings.HasPrefix(want, "time="):
				// built above; or not a console
			case command == "go run ." || strings.HasPrefix(command, "./wsecho --"):
				if server != nil {
					server.stop()
				}
				_, args, _ := strings.Cut(command, " --")
				server = start(t, program, "--addr=:0", "--admin-addr=127.0.0.1:0", "--"+cmp.Or(args, "log-level=info"))
				got, metrics := server.line(t, "msg=listening"), server.line(t, "serving metrics")
				addr := regexp.MustCompile(`addr=(\S+)`)
				_, port, _ = net.SplitHostPort(addr.FindStringSubmatch(got)[1])
				_, adminPort, _ := net.SplitHostPort(addr.FindStringSubmatch(metrics)[1])
				got += " " + strings.ReplaceAll(metrics, adminPort, "9090")
				if want != "" && normal(got) != normal(here(want)) {
					t.Errorf("%s:\ngot  %s\nwant %s", command, normal(got), normal(here(want)))
				}
				tested++
			case strings.Contains(command, "./wsecho check "), strings.Contains(command, "./wsecho connect "):
				cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(here(command), "./wsecho", program))
				got, err := cmd.CombinedOutput()
				if err != nil {
					t.Errorf("%s: %v", command, err)
				}
				if normal(string(got)) != normal(here(want)) {
					t.Errorf("%s:\ngot  %s\nwant %s", command, normal(string(got)), normal(here(want)))
				}
				tested++
			case command == "": // a line of the server's log
				_, message, _ := strings.Cut(want, "msg=")
				message, _, _ = strings.Cut(message, " ")
				if got := server.line(t, "msg="+message); normal(got) != normal(here(want)) {
					t.Errorf("got  %s\nwant %s", normal(got), normal(here(want)))
				}
				tested++
			default:
				t.Errorf("the test cannot run %q", command)
			}
		}
	}
	if tested < 6 {
		t.Errorf("got %d commands and lines of the log, want at least 6", tested)
	}
}

// consoles returns the indented blocks of a page that show a command or the log. Each is a
// command and its output.
func consoles(text string) (blocks [][][2]string) {
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	for _, block := range regexp.MustCompile(`(?m)(?:^    .*\n)+`).FindAllString(text, -1) {
		var steps [][2]string
		for line := range strings.Lines(block) {
			line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "    ")
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				steps = append(steps, [2]string{command, ""})
			} else if len(steps) == 0 {
				steps = append(steps, [2]string{"", line})
			} else {
				steps[len(steps)-1][1] += "\n" + line
			}
		}
		blocks = append(blocks, steps)
	}
	return blocks
}

var differing = []struct {
	text *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`time=\S+`), "time=T"},
	{regexp.MustCompile(`remote=\S+`), "remote=R"},
	{regexp.MustCompile(`(127\.0\.0\.1|\[::1\]):`), "LOOPBACK:"},
	{regexp.MustCompile(`_seconds=\d+(\.\d+)?`), "_seconds=S"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?(ns|µs|ms|s)\b`), "DURATION"},
	{regexp.MustCompile(`bytes_(in|out)=\d+`), "bytes_$1=N"},
	{regexp.MustCompile(`; O\w*"…`), `; O"…`}, // cut at a length that includes the port
	{regexp.MustCompile(`\s+`), " "},
}

// normal returns text without anything that differs from run to run.
func normal(text string) string {
	for _, d := range differing {
		text = d.text.ReplaceAllString(text, d.as)
	}
	return strings.TrimSpace(text)
}

// TestReadmePrograms builds the server and the client of the README in a module of
// their own, and runs them.
func TestReadmePrograms(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "../README.md"), -1)
	if len(blocks) != 2 {
		t.Fatalf("got %d Go programs, want a server and a client", len(blocks))
	}
	// The server listens there later. No other test uses this address, if the system has it.
	l, err := net.Listen("tcp", "127.0.0.8:0")
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	const client = `package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

func main() {
	reply, err := ask(context.Background(), os.Args[1], "hello")
	log.Printf("reply %q, error: %v", reply, err)
}

`
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"server/main.go": strings.ReplaceAll(blocks[0][1], `":8080"`, `"`+addr+`"`),
		"client/main.go": client + blocks[1][1],
		"go.sum":         read(t, "../go.sum"),
		"go.mod": "module example.com/embedding\n\ngo 1.25\n\nrequire example.com/wsecho v0.0.0\n\n" +
			"replace example.com/wsecho => " + root + "\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := start(t, build(t, dir, "-mod=mod", "./server"))
	await(t, addr)
	ask := build(t, dir, "-mod=mod", "./client")
	askServer := func(url, want string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), ask, url).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("the client: %v\ngot  %swant %s", err, out, want)
		}
	}
	askServer("ws://"+addr, `reply "HELLO", error: <nil>`)
	server.line(t, " ended: normal") // OnEnd
	// A server that ends the stream without a close frame.
	askServer(wstest.NewServer(t, wstest.DropFIN()).URL, "abnormal; peer gone: true")
}

// await returns when something listens on addr.
func await(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	for {
		var d net.Dialer
		if c, err := d.DialContext(ctx, "tcp", addr); err == nil {
			c.Close()
			return
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // a listening process gives no other event
	}
}

// testFlags compares the README's table of flags with the help.
func testFlags(t *testing.T, program string) {
	out, err := exec.CommandContext(t.Context(), program, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	rows := table(t, read(t, "../README.md"), "| flag | default |")
	if len(rows) != 10 {
		t.Errorf("got %d flags, want 10", len(rows))
	}
	for _, row := range rows {
		flag, value := strings.Trim(row[0], "`"), strings.Trim(row[1], "`")
		shown := regexp.MustCompile(`(?m)^ +` + flag + `(?:="?([^", ]*)"?(?:,\.\.\.)?)? `).FindStringSubmatch(string(out))
		switch {
		case shown == nil:
			t.Errorf("the help has no %s", flag)
		case strings.HasPrefix(row[1], "`") && shown[1] != value:
			t.Errorf("%s: got default %s, want %s", flag, value, shown[1])
		}
	}
}

// TestReadmeFigures checks that each figure of the README is on the page of the
// comparison. The row must be that of the same server. The report of bench writes both.
func TestReadmeFigures(t *testing.T) {
	page := read(t, "benchmarks/README.md")
	const head = "| | wsecho |"
	rows := table(t, read(t, "../README.md"), head)
	if len(rows) != 5 {
		t.Errorf("got %d rows, want 5", len(rows))
	}
	servers := regexp.MustCompile(`(?m)^\| \| (.*) \|$`).FindStringSubmatch(read(t, "../README.md"))
	if servers == nil {
		t.Fatal("the table has no head")
	}
	for i, server := range strings.Split(servers[1], " | ") {
		server, _, _ = strings.Cut(server, " ")
		lines := regexp.MustCompile(`(?m)^\| `+regexp.QuoteMeta(server)+`(?:<br>[^|]*)? \|.*$`).FindAllString(page, -1)
		if lines == nil {
			t.Errorf("the comparison has no %s", server)
			continue
		}
		for _, row := range rows {
			figure := row[i+1]
			if figure == "n.s." { // not significant
				continue
			}
			if strings.HasPrefix(row[0], "failed") || strings.HasPrefix(row[0], "broken") {
				if strings.HasPrefix(row[0], "failed") {
					figure += " of 37"
				}
				cells := strings.Split(strings.Trim(lines[0], "| "), " | ") // of the main table
				if got := strings.Trim(cells[len(cells)-1], "*"); got != figure {
					t.Errorf("%s: %s: got %s, the comparison has %s", row[0], server, figure, got)
				}
				continue
			}
			is := regexp.MustCompile(`[^\d.]` + regexp.QuoteMeta(figure) + `(?:[^\d.]|$)`)
			if !slices.ContainsFunc(lines, is.MatchString) {
				t.Errorf("%s: %s: the comparison has no figure %s", row[0], server, figure)
			}
		}
	}
}
