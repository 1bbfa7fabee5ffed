package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"example.com/wsecho/internal/conformance"
)

// eventLines returns the events of a run, one for each word. A word has a package, a
// test or none, and an action, as in server.TestX/a=pass and server=fail. Output
// follows "~".
func eventLines(words ...string) string {
	var b strings.Builder
	for _, w := range words {
		w, output, printed := strings.Cut(w, "~")
		name, action, _ := strings.Cut(w, "=")
		e := event{Action: action, Output: output}
		if printed {
			e.Action = "output"
		}
		e.Package, e.Test, _ = strings.Cut(name, ".")
		e.Package = module + "/" + e.Package
		if e.Package == module+"/wsecho" {
			e.Package = module
		}
		line, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []string
		of     string
		want   verdict
		why    string
	}{
		{"passed", []string{"a.T=run", "a.T=pass", "a=pass"}, "a.T", pass, ""},
		{"failed", []string{"a.T=run", "a.T=fail", "a=fail"}, "a.T", fail, ""},
		{"skipped", []string{"a.T=run", "a.T~=== RUN   T\n", "a.T~    x_test.go:7: no\n        such thing\n", "a.T~--- SKIP: T (0.00s)\n", "a.T=skip", "a=pass"}, "a.T", skipped, "no such thing"},
		{"never ran", []string{"a.T=run", "a.T=pass", "a=pass"}, "a.U", missing, ""},
		{"another package's", []string{"a.T=run", "a.T=pass", "a=pass", "b=pass"}, "b.T", missing, ""},
		{"no results at all", nil, "a.T", missing, ""},
		{"the root package", []string{"wsecho.T=run", "wsecho.T=pass", "wsecho=pass"}, "wsecho.T", pass, ""},
		{"a path", []string{"a/b.T/c.d=run", "a/b.T/c.d=pass", "a/b=pass"}, "a/b.T/c.d", pass, ""},

		{"a subtest failed", []string{"a.T/1=pass", "a.T/2=fail", "a.T=fail", "a=fail"}, "a.T", fail, ""},
		{"another subtest failed", []string{"a.T/1=pass", "a.T/2=fail", "a.T=fail", "a=fail"}, "a.T/1", pass, ""},
		{"a subtest was skipped, which go test calls passed", []string{"a.T/1~why\n", "a.T/1=skip", "a.T=pass", "a=pass"}, "a.T", skipped, "why"},
		{"a subtest two levels down", []string{"a.T/1/x~why\n", "a.T/1/x=skip", "a.T/1=pass", "a.T=pass", "a=pass"}, "a.T", skipped, "why"},
		{"the first reason of several", []string{"a.T/2~two\n", "a.T/2=skip", "a.T/1~one\n", "a.T/1=skip", "a.T/3~three\n", "a.T/3=skip", "a.T=pass", "a=pass"}, "a.T", skipped, "one"},
		{"a subtest with an empty name", []string{"a.T/x/=pass", "a.T=pass", "a=pass"}, "a.T/x/", pass, ""},
		{"a longer name is no subtest", []string{"a.TestX=pass", "a.TestXY=fail", "a=fail"}, "a.TestX", pass, ""},

		{"begun and not ended", []string{"a.T=run", "a=fail"}, "a.T", fail, ""},
		{"a subtest not ended", []string{"a.T=run", "a.T/1=run", "a=fail"}, "a.T", fail, ""},
		{"the package failed behind its tests", []string{"a.T=run", "a.T=pass", "a=fail"}, "a.T", fail, "its package failed"},
		{"the package failed for another test", []string{"a.T=pass", "a.U=fail", "a=fail"}, "a.T", pass, ""},
		{"the package was never built", []string{"a=fail"}, "a.T", missing, ""},

		{"a package", []string{"a.T=pass", "a=pass"}, "a", pass, ""},
		{"a package that failed", []string{"a.T=pass", "a=fail"}, "a", fail, ""},
		{"a package without tests", []string{"a=skip"}, "a", missing, ""},
		{"a package that is not there", []string{"b=pass"}, "a", missing, ""},

		{"passed, then failed", []string{"a.T=run", "a.T=pass", "a=pass", "a.T=run", "a.T=fail", "a=fail"}, "a.T", fail, ""},
		{"failed, then passed", []string{"a.T=run", "a.T=fail", "a=fail", "a.T=run", "a.T=pass", "a=pass"}, "a.T", fail, ""},
		{"skipped, then passed", []string{"a.T=run", "a.T=skip", "a=pass", "a.T=run", "a.T=pass", "a=pass"}, "a.T", pass, ""},
		{"passed, then not ended", []string{"a.T=run", "a.T=pass", "a=pass", "a.T=run", "a=fail"}, "a.T", fail, ""},
	} {
		r, err := read(strings.NewReader("# a/b\nnot JSON\n{}\n" + eventLines(tt.events...)))
		if err != nil {
			t.Fatal(err)
		}
		if got, why := r.of(tt.of); got != tt.want || why != tt.why {
			t.Errorf("%s: got %v %q, want %v %q", tt.name, got, why, tt.want, tt.why)
		}
	}
}

// names returns the names of all tests that the page needs.
func names() []string {
	var all []string
	for _, r := range attacks {
		all = append(all, r.tests...)
	}
	for _, s := range standards {
		for _, r := range s.rows {
			all = append(all, r.tests...)
		}
	}
	for _, s := range conformance.Sections() {
		for _, n := range s.Numbers() {
			all = append(all, cases+"/"+n)
		}
	}
	return append(all, fullRun)
}

// allPass returns results in which every named test has passed, except those in but.
func allPass(but map[string]string) string {
	var words []string
	packages := make(map[string]bool)
	for _, name := range names() {
		pkg, test, _ := strings.Cut(name, ".")
		packages[pkg] = true
		action, ok := but[name]
		if !ok {
			action = "pass"
		}
		if test != "" && action != "" {
			words = append(words, name+"="+action)
		}
	}
	for pkg := range packages {
		words = append(words, pkg+"=pass")
	}
	return eventLines(words...)
}

// TestExit checks the exit code, stderr and the page. It removes the rows without
// tests, because they fail the command.
func TestExit(t *testing.T) {
	old := attacks
	t.Cleanup(func() { attacks = old })
	attacks = slices.DeleteFunc(slices.Clone(attacks), func(r row) bool { return len(r.tests) == 0 && r.not == "" })
	some := attacks[0].tests[0]
	for _, tt := range []struct {
		name  string
		but   map[string]string
		code  int
		on    string // stderr
		shows string // the page
	}{
		{"all pass", nil, 0, "", "517 of 517 cases pass, 0 fail, 0 are skipped and 0 are missing."},
		{"a case fails", map[string]string{cases + "/6.4.2": "fail"}, 1, "section 6.4", "3 of 4 pass; not 6.4.2 (fail)"},
		{"a case is missing", map[string]string{cases + "/9.3.1": ""}, 1, "section 9.3", "8 of 9 pass; not 9.3.1 (missing)"},
		{"a case is skipped", map[string]string{cases + "/9.3.1": "skip"}, 0, "", "8 of 9 pass; not 9.3.1 (skipped)"},
		{"a row fails", map[string]string{some: "fail"}, 1, attacks[0].what, "`" + some + "` (fail)"},
		{"a row's test is missing", map[string]string{some: ""}, 1, attacks[0].what, "`" + some + "` (missing)"},
		{"a row is skipped", map[string]string{some: "skip"}, 0, "", "| skipped | `" + some + "` (skipped)"},
		{"a section fails", map[string]string{"internal/conformance.TestMasks": "fail"}, 1, "section 5.3", "`internal/conformance.TestMasks` (fail)"},
	} {
		var page, stderr strings.Builder
		code := run(strings.NewReader(allPass(tt.but)), &page, &stderr)
		if code != tt.code || !strings.Contains(stderr.String(), tt.on) || (code == 0) != (stderr.Len() == 0) {
			t.Errorf("%s: got %d and %q, want %d and %q", tt.name, code, stderr.String(), tt.code, tt.on)
		}
		if !strings.Contains(page.String(), tt.shows) {
			t.Errorf("%s: the page does not show %q", tt.name, tt.shows)
		}
	}
	attacks = append(attacks, row{what: "a fault without a test"})
	var page, stderr strings.Builder
	if code := run(strings.NewReader(allPass(nil)), &page, &stderr); code != 1 || !strings.Contains(stderr.String(), "a fault without a test") {
		t.Errorf("a row without tests: got %d and %q, want 1", code, stderr.String())
	}
}

// TestNotFull passes the results of a run that was not full.
func TestNotFull(t *testing.T) {
	for _, action := range []string{"skip", "fail", ""} {
		var page, stderr strings.Builder
		code := run(strings.NewReader(allPass(map[string]string{fullRun: action})), &page, &stderr)
		if code != 1 || page.Len() > 0 || !strings.Contains(stderr.String(), "set WSECHO_TEST_FULL=1") {
			t.Errorf("%q: got %d, %d bytes and %q, want 1, no page and the variable's name", action, code, page.Len(), stderr.String())
		}
	}
}

// TestSame creates the page twice and compares.
func TestSame(t *testing.T) {
	var pages [2]strings.Builder
	for i := range pages {
		run(strings.NewReader(allPass(map[string]string{attacks[0].tests[0]: "fail"})), &pages[i], &strings.Builder{})
	}
	if pages[0].String() != pages[1].String() {
		t.Error("two pages of the same results differ")
	}
	if n := strings.Count(pages[0].String(), "\n| "); n < 32+len(conformance.Sections()) {
		t.Errorf("the page has %d rows", n)
	}
}

// TestTable looks for rows that are incomplete or misspelled.
func TestTable(t *testing.T) {
	if len(attacks) != 32 {
		t.Errorf("there are %d attacks, want 32", len(attacks))
	}
	for i, r := range attacks {
		if r.what == "" || r.duty == "" || len(r.tests) > 0 && r.not != "" {
			t.Errorf("attack %d: %+v", i+1, r)
		}
	}
	for _, name := range names() {
		if pkg, _, _ := strings.Cut(name, "."); strings.Contains(name, " ") || strings.HasPrefix(pkg, module) || pkg == "" {
			t.Errorf("%q is not a package path within the module and a test", name)
		}
	}
	for _, s := range standards {
		for _, r := range s.rows {
			if n, about, ok := strings.Cut(r.what, " "); !ok || about == "" || n[0] < '1' || n[0] > '9' || len(r.tests) == 0 {
				t.Errorf("%s: %+v", s.title, r)
			}
		}
	}
	n := 0
	for _, s := range conformance.Sections() {
		n += s.Cases
	}
	if n != 517 {
		t.Errorf("there are %d cases, want 517", n)
	}
}
