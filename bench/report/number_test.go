package report

import (
	"math"
	"testing"
	"time"

	"example.com/wsecho/load"
)

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1.00", 9.996: "10.0", 0.9996: "1.00", 0.08449: "0.0845", 123.4: "123", 999.6: "1,000", 446123: "446,000", 1234567: "1,230,000",
		-1234567: "-1,230,000", -123456: "-123,000", 0.00001234: "0.0000123", 1e-9: "1.00e-09", 1e20: "1.00e+20", math.Inf(1): "∞",
	} {
		if got := digits(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1: "100", 0.9999: "99.9", 0.57: "57", 0.25: "25", 0.0001: "0.0100"} {
		if got := percent(v); got != want+unbroken+"%" {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestMicros(t *testing.T) {
	for v, want := range map[float64]string{0.5: "0.500_µs", 999.4: "999_µs", 999.6: "1.00_ms", 20123: "20.1_ms", 999600: "1.00_s", 3e6: "3.00_s"} {
		if got := micros(v); got != replaceSpace(want) {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int]string{0: "0_B", 5: "5_B", 1000: "1000_B", 4096: "4_KiB", 1 << 20: "1_MiB"} {
		if got := size(n); got != replaceSpace(want) {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{2 * time.Second: "2s", 90 * time.Minute: "1h30m", time.Hour: "1h", 83*time.Minute + 100*time.Millisecond: "1h23m", 1234567 * time.Nanosecond: "1ms", 10 * time.Minute: "10m"} {
		if got := short(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestRatio(t *testing.T) {
	for r, want := range map[load.Ratio][4]string{
		{Median: 0.234, Low: 0.221, High: 0.25, Rounds: 5}:            {"0.234", "(0.221–0.250)", "0.234×", "(0.221–0.250)"},
		{Median: 0.98, Low: 0.93, High: 1.07, Rounds: 5, Noise: true}: {"=", "(0.930–1.07)", "=", "(0.930–1.07)"},
		{Median: 0.5, Rounds: 2, Noise: true}:                         {"0.500 ?", "", "0.500× ?", ""},
		{Rounds: 5}:                                                   {"0", "(0–0)", "0×", "(0–0)"},
	} {
		a, b := ratio(r)
		c, d := times(r)
		if got := [4]string{a, b, c, d}; got != want {
			t.Errorf("%+v is %q, want %q", r, got, want)
		}
	}
}

func replaceSpace(s string) string {
	b := []rune(s)
	for i, r := range b {
		if r == '_' {
			b[i] = '\u00a0'
		}
	}
	return string(b)
}

func TestParagraph(t *testing.T) {
	for s, want := range map[string]string{
		"1.0.3": "1.0.3", "1. one": `1\. one`, "- a": `\- a`, "+ a": `\+ a`, "==": `\==`, "---": `\---`, "a - b": "a - b",
		"a|b": `a\|b`, "<b>": `&lt;b\>`, "a & b": "a &amp; b", "# a": `\# a`, "$a$ ~b~ `c` *d* _e_ [f] \\": "\\$a\\$ \\~b\\~ \\`c\\` \\*d\\* \\_e\\_ \\[f\\] \\\\",
	} {
		if got := paragraph(s); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
}

// TestApart: labels keep their order, their distance, and the room there is.
func TestApart(t *testing.T) {
	got := apart([]label{{name: "a", y: 100}, {name: "b", y: 99}, {name: "c", y: 5}, {name: "d", y: 101}, {name: "e", y: 4}}, 10, 0, 100)
	names := ""
	for i, l := range got {
		names += l.name
		if l.y < 0 || l.y > 100 || i > 0 && got[i-1].y-l.y < 10 {
			t.Errorf("%s is at %v", l.name, l.y)
		}
	}
	if names != "dabce" {
		t.Errorf("the order is %s", names)
	}
}
