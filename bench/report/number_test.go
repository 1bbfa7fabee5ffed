package report

import (
	"testing"
	"time"
)

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{2 * time.Second: "2s", 90 * time.Minute: "1h30m", time.Hour: "1h", 83*time.Minute + 100*time.Millisecond: "1h23m", 1234567 * time.Nanosecond: "1ms", 10 * time.Minute: "10m"} {
		if got := short(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
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

// TestSeparate: labels keep their order and their distance, and stay in the frame.
func TestSeparate(t *testing.T) {
	got := separate([]label{{name: "a", y: 100}, {name: "b", y: 99}, {name: "c", y: 5}, {name: "d", y: 101}, {name: "e", y: 4}}, 10, 0, 100)
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
