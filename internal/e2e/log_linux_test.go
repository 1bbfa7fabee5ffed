package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/wsecho/internal/hostile"
	"example.com/wsecho/internal/quote"
)

// logKeys lists the keys of the log's lines.
var logKeys = strings.Fields(`time level msg addr url cause id remote host uri subprotocol status reason kind by gone code sent received
	age_seconds silent_seconds messages_in messages_out bytes_in bytes_out rtt_seconds after_seconds failures connections timeout_seconds acknowledged unacknowledged unwritable suppressed requested_subprotocols request_id
	flag value enough_for fault names sha256 to_trust_it`)

const (
	// perConn is the maximum number of lines per connection with --log-level=debug.
	perConn = 3
	// ownLines is the maximum number of lines about the server.
	ownLines = 10
	// mostRefused is the maximum number of warnings of refused requests. Some kinds have
	// five each, and one more for each ten seconds.
	mostRefused = 60
	// longestLine is the maximum length of a line that a peer can cause, in bytes.
	longestLine = 2 << 10
)

// checkLog checks the log of the server after an attack. The server has ended.
func (s *target) checkLog(t *testing.T, a hostile.Attack) {
	t.Helper()
	f, err := os.Open(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bad := 0
	complain := func(format string, args ...any) {
		if bad++; bad <= 10 {
			t.Errorf("the log: "+format, args...)
		}
	}
	counts := make(map[string]int) // lines by level, and ended connections by kind
	longest := 0
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF && line == "" {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, len(line))
		fields, err := parseLine(strings.TrimSuffix(line, "\n"))
		if err != nil {
			complain("%v: %.1000q", err, line)
			continue
		}
		if isRefusal(fields) {
			counts["refused"]++
			continue
		}
		counts[fields["level"]]++
		if fields["msg"] == "ended" {
			counts["ended"]++
			counts[fields["by"]+": "+fields["kind"]]++
		}
	}
	t.Logf("measured: %d connections of attackers and %d others; lines in the log: %v, the longest of %d bytes", s.attackers, s.peers, counts, longest)
	conns := s.attackers + s.peers
	if n := counts["INFO"] + counts["WARN"] + counts["ERROR"]; n > conns+ownLines || n+counts["DEBUG"] > perConn*conns+ownLines {
		complain("too many lines: %v", counts)
	}
	if n := counts["refused"]; n > mostRefused {
		complain("%d lines of refused requests, want at most %d", n, mostRefused)
	}
	if longest > longestLine {
		complain("a line of %d bytes, want %d at most", longest, longestLine)
	}
	if a.TLS {
		counts["WARN"]-- // the one about the self-signed certificate
	}
	warnings := 0
	if a.Files > 0 { // one at the start, one when no descriptor is left, and one when some are free again
		warnings = 3
		if counts["ended"] <= a.Files {
			complain("%d connections have ended, want more than %d: the server must accept again when descriptors are free", counts["ended"], a.Files)
		}
	}
	if n := counts["WARN"]; n < warnings || n > tries*warnings || counts["ERROR"] > 0 {
		complain("warnings and errors: %v", counts)
	}
	if n := counts["local: no pong"] + counts["local: write stalled"]; a.Fault != hostile.None && n < attackers {
		complain("%d connections ended with no pong or a stalled write, want at least %d: %v", n, attackers, counts)
	}
}

// isRefusal reports whether a line is a warning that a client can cause.
func isRefusal(fields map[string]string) bool {
	return fields["level"] == "WARN" && (fields["msg"] == "refused" || fields["msg"] == "no subprotocol selected")
}

// parseLine returns the fields of a line in slog's text form or in JSON. The line must be
// printable, and each key must be known and unique.
func parseLine(line string) (map[string]string, error) {
	for _, r := range line {
		if r == utf8.RuneError || !quote.IsPrint(r) {
			return nil, fmt.Errorf("the line has the unprintable %q", r)
		}
	}
	keys, values, err := textFields(line)
	if strings.HasPrefix(line, "{") {
		keys, values, err = jsonFields(line)
	}
	if err != nil {
		return nil, err
	}
	if len(keys) < 3 || !slices.Equal(keys[:3], logKeys[:3]) {
		return nil, fmt.Errorf("the line begins with the keys %q", keys[:min(3, len(keys))])
	}
	fields := make(map[string]string)
	for i, key := range keys {
		if _, twice := fields[key]; twice || !slices.Contains(logKeys, key) {
			return nil, fmt.Errorf("the key %q is unknown or repeated", key)
		}
		fields[key] = values[i]
	}
	return fields, nil
}

func textFields(line string) (keys, values []string, err error) {
	for rest := line; rest != ""; {
		key, value, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, nil, fmt.Errorf("%q has no value", rest)
		}
		if strings.HasPrefix(value, `"`) {
			quoted, err := strconv.QuotedPrefix(value)
			if err != nil {
				return nil, nil, fmt.Errorf("the value of %s: %w", key, err)
			}
			rest = value[len(quoted):]
			value, _ = strconv.Unquote(quoted)
		} else {
			end := strings.IndexByte(value+" ", ' ')
			value, rest = value[:end], value[end:]
			if strings.ContainsAny(value, `"=`) {
				return nil, nil, fmt.Errorf("the value of %s is not quoted", key)
			}
		}
		if rest != "" && (rest[0] != ' ' || rest == " ") {
			return nil, nil, fmt.Errorf("data after the value of %s", key)
		}
		rest = strings.TrimPrefix(rest, " ")
		keys, values = append(keys, key), append(values, value)
	}
	return keys, values, nil
}

func jsonFields(line string) (keys, values []string, err error) {
	tokens := json.NewDecoder(strings.NewReader(line))
	if first, err := tokens.Token(); first != json.Delim('{') {
		return nil, nil, errors.Join(errors.New("the line is not a JSON object"), err)
	}
	for tokens.More() {
		key, err := tokens.Token()
		if err != nil {
			return nil, nil, err
		}
		var value any
		if err := tokens.Decode(&value); err != nil {
			return nil, nil, err
		}
		keys, values = append(keys, fmt.Sprint(key)), append(values, fmt.Sprint(value))
	}
	if _, err := tokens.Token(); err != nil {
		return nil, nil, err
	}
	if _, err := tokens.Token(); err != io.EOF {
		return nil, nil, errors.New("data after the JSON object")
	}
	return keys, values, nil
}

// TestParseLine checks that parseLine refuses malformed lines.
func TestParseLine(t *testing.T) {
	const text, object = "time=x level=INFO msg=ended", `{"time":"x","level":"INFO","msg":"ended"`
	for _, line := range []string{
		text, text + ` reason="a\\n\" forged=yes" code=1000`, text + ` reason=""`,
		object + "}", object + `,"reason":"a\\n\" forged=yes","code":1000}`,
	} {
		if fields, err := parseLine(line); err != nil || fields["msg"] != "ended" {
			t.Errorf("%q: got %q, %v", line, fields, err)
		}
	}
	for _, line := range []string{
		"", "panic: oh", "level=INFO time=x msg=ended", text + " ", text + " reason", text + " forged=yes", text + " level=ERROR",
		text + ` reason="a"b"`, text + ` reason="a`, text + ` reason=a"b`, text + " reason=a=b",
		text + " reason=\u202e", text + " reason=e\u0301", text + " reason=\u3164", text + " reason=\"\x1b\"", text + " reason=\xff",
		"{}", "{", "[]", object, object + "}}", object + "} {}", object + `,"reason"}`, object + `,"forged":"yes"}`, object + `,"level":"ERROR"}`,
		object + `,"reason":"a"b"}`, object + ",\"reason\":\"\u202e\"}", object + ",\"reason\":\"\x1b\"}", object + ",\"reason\":\"\xff\"}",
	} {
		if fields, err := parseLine(line); err == nil {
			t.Errorf("%q: got %q", line, fields)
		}
	}
}
