package command

import (
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/wsecho/load"
)

func TestProgress(t *testing.T) {
	now := load.Progress{URL: "ws://a/", Round: 1, Rounds: 2, Done: 0.25, Rate: 1234.5, P99: 1234567 * time.Nanosecond}

	var lines strings.Builder
	p := newProgress(&lines)
	p.lastLine = time.Now().Add(time.Hour)
	p.show(now) // too early for a line
	now.RoundOver, now.Failures = true, 3
	p.show(now)
	p.lastLine = time.Now().Add(-2 * lineInterval)
	now.RoundOver, now.Failures = false, 0
	p.show(now)
	p.clear()
	const want = "round 1 of 2  ws://a/  1,230 messages/s  p99 1.23 ms  3 FAILED\n" +
		"round 1 of 2  ws://a/  1,230 messages/s  p99 1.23 ms\n"
	if lines.String() != want {
		t.Errorf("got %q, want %q", &lines, want)
	}

	var bar strings.Builder
	p = newProgress(&bar)
	p.terminal = true
	p.show(now)
	now.Done, now.URL = 1, "ws://"+strings.Repeat("é", 100)
	p.show(now)
	p.clear()
	drawn := strings.Split(bar.String(), "\r\x1b[K")
	if len(drawn) != 4 || drawn[0] != "" || drawn[3] != "" ||
		drawn[1] != "█████░░░░░░░░░░░░░░░ round 1 of 2  ws://a/  1,230 messages/s  p99 1.23 ms" ||
		utf8.RuneCountInString(drawn[2]) != 79 || !strings.HasPrefix(drawn[2], "████████████████████ round") {
		t.Errorf("%q", drawn)
	}
}

func TestIsTerminal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if isTerminal(f) || isTerminal(&strings.Builder{}) {
		t.Error("isTerminal is true for a file")
	}
	terminal, err := os.Open("/dev/ptmx")
	if err != nil {
		t.Logf("no terminal to test with: %v", err)
		return
	}
	defer terminal.Close()
	t.Setenv("TERM", "xterm")
	if !isTerminal(terminal) {
		t.Error("isTerminal is false for a terminal")
	}
	t.Setenv("TERM", "dumb")
	if isTerminal(terminal) {
		t.Error("isTerminal is true for a dumb terminal")
	}
}
