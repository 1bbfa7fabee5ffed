package command

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"example.com/wsecho/ending"
)

// ran runs a command line and returns its exit code and outputs.
func ran(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = Run(t.Context(), "", args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"1006"}, 0, `^1006 \(abnormal closure\)\n\nmeaning  The connection ended without a close frame\.\nsent by  Neither side\. .*\ncauses   .*\ncheck    .*\n$`, `^$`},
		{[]string{"4711"}, 0, `^4711 \(for applications\)\n`, `^$`},
		{[]string{"no", "pong"}, 0, `^no pong\n(.*\n)*sent by  This side began\. It sends 1001\.\n`, `^$`},
		{[]string{"no pong"}, 0, `^no pong\n`, `^$`},
		{[]string{"Invalid-UTF_8"}, 0, `^invalid utf-8\n`, `^$`},
		{[]string{"going-awya"}, 2, `^$`, `"going-awya" is neither a close code nor a kind of ending; the nearest kinds are "going away", `},
		{[]string{"70000"}, 2, `^$`, `70000 is no close code; the nearest are 3008 and those for applications`},
		{[]string{"--", "-1"}, 2, `^$`, `-1 is no close code; the nearest are 1000 and 1001`},
		{nil, 2, `^$`, `expected "<code\|kind> \.\.\."`},
	} {
		code, stdout, stderr := ran(t, append([]string{"explain"}, test.args...)...)
		if code != test.code || !regexp.MustCompile(test.stdout).MatchString(stdout) || !regexp.MustCompile(test.stderr).MatchString(stderr) {
			t.Errorf("%q: exit code %d, want %d\n%s%s", test.args, code, test.code, stdout, stderr)
		}
	}
}

// TestExplainAll checks that each kind is found by its name, in one and in several words.
func TestExplainAll(t *testing.T) {
	for _, k := range ending.Kinds() {
		for _, name := range []string{k.String(), strings.ReplaceAll(k.String(), " ", "-")} {
			code, stdout, stderr := ran(t, "explain", "--json", name)
			var e explanation
			if err := json.Unmarshal([]byte(stdout), &e); code != 0 || err != nil {
				t.Errorf("%s: exit code %d, %v\n%s%s", name, code, err, stdout, stderr)
			}
			if e.Kind != k.String() || e.Meaning != k.Explain().Meaning || e.By != k.By().String() || (e.Code != nil) != (k.Code() != 0) {
				t.Errorf("%s: got %s", name, stdout)
			}
		}
	}
	_, stdout, _ := ran(t, "explain", "--json", "1000")
	var e explanation
	if err := json.Unmarshal([]byte(stdout), &e); err != nil || e.Code == nil || *e.Code != 1000 || e.Name != "normal closure" || e.Kind != "" {
		t.Errorf("%v: %s", err, stdout)
	}
}
