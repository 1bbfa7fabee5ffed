package command

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/wsecho/wstest"
)

// talked runs wsecho connect with a text as stdin.
func talked(t *testing.T, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	f := parse(t, append([]string{"connect"}, args...)...).Connect
	f.stdin = stdin
	var out, errs strings.Builder
	err := f.Run(t.Context(), streams{&out, &errs}, nil)
	if err != nil {
		code = printError(err, &errs)
	}
	return code, out.String(), errs.String()
}

// held is a stdin that does not end before the test.
func held(t *testing.T, text string) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	go func() { _, _ = io.WriteString(w, text) }()
	return r
}

// A talkCase is a server, a stdin, and what wsecho connect says.
type talkCase struct {
	url            string
	args           []string
	stdin          io.Reader
	code           int
	stdout, stderr string // patterns
}

// talkCases returns one or more servers for each exit code.
func talkCases(t *testing.T) map[string]talkCase {
	after := func(then func(*wstest.Peer)) string {
		return wstest.Serve(t, func(p *wstest.Peer) {
			then(p)
			_, _ = p.Answer(context.Background(), wstest.AnswerOptions{})
		})
	}
	sends := func(frames ...wstest.Frame) string { return after(func(p *wstest.Peer) { _ = p.Send(frames...) }) }
	answers := func(o wstest.AnswerOptions) string {
		return wstest.Serve(t, func(p *wstest.Peer) { _, _ = p.Answer(context.Background(), o) })
	}
	echo := wstest.Serve(t, wstest.Echo)
	text := strings.NewReader
	return map[string]talkCase{
		"lines":       {echo, nil, text("hello\r\n\n//x\n/binary 00 fF\nlast"), 0, `^hello\n\n/x\n00ff\nlast\n$`, `^connected to 127\.0\.0\.1:\d+: TCP .*, upgrade .*\nended: closed by this side, code 1000, after .*\n$`},
		"no lines":    {echo, []string{"--quiet"}, text(""), 0, `^$`, `^$`},
		"no commands": {echo, []string{"--no-commands", "--quiet"}, text("/ping\n//\n"), 0, `^/ping\n//\n$`, `^$`},
		"close":       {echo, nil, text("a\n/close 4000 bye now\nb\n"), 0, `^a\n$`, `\nended: closed by this side, code 4000, reason "bye now", after`},
		"ping":        {echo, nil, text("/ping\n"), 0, `^$`, `\npong after .*s\nended`},
		"pings":       {sends(wstest.PingFrame("a\x1b"), wstest.TextFrame("x"), wstest.CloseFrame(1000, "")), []string{"--pings"}, held(t, ""), 0, `^x\n$`, `\nping, 2 bytes: "a\\x1b"\nended: normal`},
		"file":        {echo, []string{"--quiet"}, text("/file connect_test.go\n/file connect_test.go binary\n"), 0, `^package command\n(.*\n)*7061636b616765`, `^$`},
		"stays": {after(func(p *wstest.Peer) {
			_, _ = p.Recv()
			_ = p.Send(wstest.TextFrame("x"), wstest.TextFrame("y"), wstest.CloseFrame(1000, ""))
		}), []string{"--wait=off"}, text("a"), 0, `^x\ny\n$`, `\nended: normal by the server`},
		"greeting":       {after(func(p *wstest.Peer) { _ = p.Send(wstest.TextFrame("hi")); wstest.Echo(p) }), []string{"--quiet"}, text("a\nb"), 0, `^hi\na\nb\n$`, `^$`},
		"heartbeat":      {answers(wstest.AnswerOptions{}), []string{"--wait=off", "--ping-interval=20ms"}, text("/close"), 0, `^$`, `closed by this side`},
		"connect":        {"ws://127.0.0.1:1/", nil, text(""), 3, `^$`, `^wsecho: error: ws://127\.0\.0\.1:1/: cannot connect: `},
		"TLS":            {wstest.ServeTLS(t, wstest.Echo), nil, text(""), 4, `^$`, `: TLS failed: `},
		"handshake":      {echo, []string{"--subprotocol=chat"}, text(""), 5, `^$`, `: did not open a WebSocket: it chose none of the offered subprotocols: chat\n$`},
		"lost":           {answers(wstest.AnswerOptions{NoPong: true}), []string{"--timeout=3s"}, text("/ping\n"), 6, `^$`, `\nno pong within 3s\nended: closed .*\nwsecho: error: .*: pongs were lost: 1\n$`},
		"no pong":        {answers(wstest.AnswerOptions{NoPong: true}), []string{"--ping-interval=50ms", "--max-missed=0"}, held(t, ""), 6, `^$`, `\nended: no pong by this side, code 1001`},
		"peer code":      {sends(wstest.CloseFrame(4000, "")), nil, held(t, ""), 7, `^$`, `^connected to .*\nended: peer code by the server, code 4000, after .*\n$`},
		"quiet code":     {sends(wstest.CloseFrame(4000, "")), []string{"--quiet"}, held(t, ""), 7, `^$`, `^wsecho: error: ws://.*: the connection ended: peer code by the server, code 4000, after .*\n$`},
		"answer":         {answers(wstest.AnswerOptions{Code: 1011}), nil, text(""), 7, `^$`, `answered with 1011`},
		"no answer":      {answers(wstest.AnswerOptions{NoClose: true}), []string{"--timeout=3s"}, text(""), 7, `^$`, `not answered`},
		"going away":     {sends(wstest.TextFrame("a"), wstest.CloseFrame(1001, "bye\x1b")), nil, held(t, ""), 8, `^a\n$`, `^connected to .*\nended: going away by the server, code 1001, reason "bye\\x1b", after .*\n$`},
		"goes away":      {answers(wstest.AnswerOptions{Code: 1001}), nil, text(""), 8, `^$`, `answered with 1001`},
		"close 1001":     {answers(wstest.AnswerOptions{Code: 1001}), nil, text("/close 1001\n"), 0, `^$`, `closed by this side, code 1001, after`},
		"abnormal":       {after(func(p *wstest.Peer) { _ = p.FIN() }), nil, held(t, ""), 9, `^$`, `abnormal by the server: end of stream without a close frame`},
		"protocol":       {sends(wstest.Frame{Fin: true, Opcode: 3}), nil, held(t, ""), 10, `^$`, `protocol by this side, code 1002`},
		"not UTF-8":      {sends(wstest.TextFrame("a\xff")), nil, held(t, ""), 10, `^a[^a]\n$`, `invalid utf-8 by this side, code 1007`},
		"too big":        {sends(wstest.TextFrame("abcd")), []string{"--read-limit=3B"}, held(t, ""), 1, `^$`, `\nended: too big by this side, code 1009`},
		"scheme":         {"http://a.example", nil, text(""), 2, `^$`, `"http://a\.example" does not begin with ws:// or wss://`},
		"interval":       {echo, []string{"--ping-interval=1000000h"}, text("/close"), 0, ``, `closed`},
		"wrong line":     {echo, nil, text("a\n/bogus\nb\n"), 2, `^(a\n)?$`, `\nwsecho: error: line 2 of stdin: there is no command "/bogus"; /help lists`},
		"long line":      {echo, []string{"--write-limit=3B"}, text("abc\r\nabcd\n"), 2, `^(abc\n)?$`, `line 2 of stdin: the line is longer than 3 bytes; --write-limit changes that`},
		"long file":      {echo, []string{"--write-limit=25B"}, text("/file connect_test.go\n"), 2, `^$`, `/file: connect_test\.go is longer than 25 bytes; --write-limit`},
		"line with \xff": {echo, nil, text("\xff\n"), 2, `^$`, `line 1 of stdin: the line is not UTF-8`},
		"help":           {echo, nil, text("/help\n"), 0, `^$`, `\n  /binary HEX  `},
	}
}

// TestConnect checks what wsecho connect sends and prints, and each exit code.
func TestConnect(t *testing.T) {
	t.Parallel()
	cases := talkCases(t)
	codes := map[int]bool{}
	for name, test := range cases {
		codes[test.code] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append(append([]string{"--timeout=30s", "--wait=30s"}, test.args...), test.url)
			code, stdout, stderr := talked(t, test.stdin, args...)
			if code != test.code || !regexp.MustCompile(test.stdout).MatchString(stdout) || !regexp.MustCompile(test.stderr).MatchString(stderr) {
				t.Errorf("exit code %d, want %d\n%.500q\n%s", code, test.code, stdout, stderr)
			}
		})
	}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| `).FindAllStringSubmatch(document(t, "docs/probe.md"), -1) {
		if n, _ := strconv.Atoi(row[1]); !codes[n] {
			t.Errorf("docs/probe.md has the exit code %d, which no test causes", n)
		}
	}
}

// TestConnectJSON checks that each line has the documented fields, and that the last has
// the exit code.
func TestConnectJSON(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(document(t, "docs/connect.md"), "\n| field | events | meaning |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented, fields []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| .").FindAllStringSubmatch(table, -1) {
		documented = append(documented, m[1])
	}
	for i := range reflect.TypeFor[talkLine]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[talkLine]().Field(i).Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	slices.Sort(documented)
	slices.Sort(fields)
	if !slices.Equal(documented, fields) {
		t.Errorf("docs/connect.md has the fields %q, want %q", documented, fields)
	}
	for name, test := range talkCases(t) {
		if test.code == 2 || slices.Contains(test.args, "--quiet") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append(append([]string{"--timeout=30s", "--wait=30s", "--json"}, test.args...), test.url)
			code, stdout, _ := talked(t, test.stdin, args...)
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			var last talkLine
			for i, line := range lines {
				last = talkLine{}
				d := json.NewDecoder(bytes.NewReader([]byte(line)))
				d.DisallowUnknownFields()
				if err := d.Decode(&last); err != nil {
					t.Errorf("%v: %s", err, line)
				}
				if last.URL != test.url || last.Time.IsZero() || (i == 0) != (last.Event == "open" || last.Event == "failed") {
					t.Errorf("got %s", line)
				}
			}
			if code != test.code || last.ExitCode == nil || *last.ExitCode != code || (last.End == nil) != (last.Error != "") {
				t.Errorf("exit code %d, want %d: %s", code, test.code, stdout)
			}
			if strings.Contains(stdout, "\x1b") {
				t.Errorf("an escape is not escaped: %q", stdout)
			}
			want := map[string]string{
				"lines": `"type":"text","bytes":0,"text":""}.*"type":"text","bytes":2,"text":"/x"}.*"type":"binary","bytes":2,"base64":"AP8="}.*"sent":5,"received":5,`,
				"ping":  `"event":"pong".*"rtt_seconds":`,
				"pings": `"event":"ping",.*"bytes":2,"text":"a\\u001b"`,
				"lost":  `"event":"missing"`,
			}[name]
			if !regexp.MustCompile("(?s)" + want).MatchString(stdout) {
				t.Errorf("no %s in\n%s", want, stdout)
			}
		})
	}
}

// TestConnectInterrupted checks that the end of the context closes, while everything is
// silent and while a write is stuck.
func TestConnectInterrupted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		server func(*wstest.Peer)
		stdin  string
		code   int
	}{
		"silent": {wstest.Echo, "", 0},
		"stuck":  {wstest.Silent, strings.Repeat("a", 15<<20) + "\n", 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			f := parse(t, "connect", "--timeout=1h", wstest.Serve(t, test.server)).Connect
			f.stdin = held(t, test.stdin)
			errs := &onWrite{do: cancel}
			err := f.Run(ctx, streams{io.Discard, errs}, nil)
			code := 0
			if err != nil {
				code = exitCode(err)
			}
			if code != test.code || !strings.Contains(errs.text.String(), "\nended: closed by this side, code 1000, ") {
				t.Errorf("exit code %d, want %d: %v\n%s", code, test.code, err, &errs.text)
			}
		})
	}
}

// An onWrite records what is written, and calls do.
type onWrite struct {
	text strings.Builder
	do   func()
}

func (w *onWrite) Write(p []byte) (int, error) {
	w.do()
	return w.text.Write(p)
}
