package fault

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/wsecho/internal/frame"
)

// FuzzParse checks that an error is one short line and that a plan is within its bounds. It
// also checks that the name of the fault requests the same plan again.
func FuzzParse(f *testing.F) {
	for _, a := range parameters {
		f.Add("/", a.name+"="+strings.NewReplacer("N", "3", "CODE", "4001").Replace(a.example))
	}
	for _, name := range pathParameters {
		f.Add("/"+name+"/2s", "")
	}
	f.Add("/close/4001", "reason=bye%20now&after=5s&garbage=1&pong=late:2s")
	f.Add("/a", "clsoe=1001&Drop=fin&fragmnt=1&seed=42")
	f.Add("/a", "token=%zz&drop=fin&drop=rst;after=1&delay=+1s")
	f.Fuzz(func(t *testing.T, path, query string) {
		const longestHold = 5 * time.Second
		u := &url.URL{Path: path, RawQuery: query}
		p, err := parse(u, longestHold)
		if err != nil {
			if text := err.Error(); text == "" || len(text) > 400 || !isLine(text) {
				t.Errorf("%q, %q: got the error %q", path, query, text)
			}
			return
		}
		if p == nil {
			for _, a := range parameters {
				if u.Query().Has(a.name) || strings.HasPrefix("&"+query, "&"+a.name+"=") {
					t.Errorf("%q, %q: the fault %s is ignored", path, query, a.name)
				}
			}
			if isFaultPath(path) {
				t.Errorf("%q, %q: the path is ignored", path, query)
			}
			return
		}
		if len(p.fault) > len(parameters)*(len("fragment=&")+maxValue) || !isLine(p.fault) {
			t.Errorf("%q, %q: got the name %q", path, query, p.fault)
		}
		for name, right := range map[string]bool{
			"close":    p.closeCode == 0 || frame.LegalCode(p.closeCode),
			"reason":   len(p.reason) <= 123 && utf8.ValidString(p.reason) && (p.reason == "" || p.closeCode != 0),
			"end":      p.closeCode == 0 || p.drop == "" && !p.truncate,
			"drop":     p.drop == "" || p.drop == "fin" || p.drop == "rst",
			"after":    p.after >= 0 && p.after <= maxCount && inTime(p.afterTime) && (p.after == 0 || p.afterTime == 0),
			"times":    inTime(p.delay) && inTime(p.jitter) && inTime(p.ping) && inTime(p.every) && inTime(p.pong.late),
			"tickers":  (p.ping == 0 || p.ping >= minEvery) && p.every >= minEvery,
			"hold":     p.hold >= 0 && p.hold <= longestHold,
			"pong":     p.pong.n >= 0 && p.pong.n <= maxCount,
			"rates":    p.readRate >= 0 && p.readRate <= maxRate && p.writeRate >= 0 && p.writeRate <= maxRate,
			"fragment": p.fragment >= 0 && p.fragment <= maxFragment,
			"status":   p.status == 0 || p.status >= 200 && p.status <= 599,
			"send":     p.send >= 0 && p.send <= maxCount,
		} {
			if !right {
				t.Errorf("%q, %q: %s is out of its bounds: %+v", path, query, name, p)
			}
		}
		again, err := parse(&url.URL{Path: "/", RawQuery: p.fault}, longestHold)
		if err != nil || again == nil {
			t.Fatalf("%q, %q: the fault %q cannot be requested: %v", path, query, p.fault, err)
		}
		again.reason = p.reason
		if *again != *p {
			t.Errorf("%q, %q: the fault %q requests %+v, not %+v", path, query, p.fault, again, p)
		}
	})
}

func inTime(d time.Duration) bool { return d >= 0 && d <= maxTime }

// isLine reports whether s is printable, so that it can be a part of a line of the log.
func isLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
