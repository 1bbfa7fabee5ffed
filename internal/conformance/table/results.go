package main

import (
	"bufio"
	"encoding/json"
	"io"
	"regexp"
	"strings"
)

// A verdict is the result of a test or of a row. A worse verdict is greater.
type verdict int

const (
	pass verdict = iota
	skipped
	missing // no such test has run
	fail
)

func (v verdict) String() string {
	return [...]string{"pass", "skipped", "missing", "fail"}[v]
}

// module is the module path. The name of the root package is its last element.
const module = "example.com/wsecho"

// results are the results from go test -json by name. The name is that of a test, such as
// server.TestEndings/idle/, or of a package, such as server. A package's path has no dot.
type results struct {
	tests    map[string]verdict // missing: the test has begun and not ended
	reasons  map[string]string  // of the skipped tests
	packages map[string]verdict
}

// read reads the results. It ignores lines that are not JSON, such as the output of
// the compiler.
func read(r io.Reader) (results, error) {
	res := results{tests: make(map[string]verdict), reasons: make(map[string]string), packages: make(map[string]verdict)}
	printed := make(map[string]string)
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) == nil && e.Package != "" {
			res.add(e, printed)
		}
		switch {
		case err == io.EOF:
			return res, nil
		case err != nil:
			return res, err
		}
	}
}

// An event is a line of go test -json.
type event struct{ Action, Package, Test, Output string }

// add adds an event. printed is the output of the tests that have not ended.
func (r *results) add(e event, printed map[string]string) {
	pkg := short(e.Package)
	name := pkg + "." + e.Test
	v, ended := map[string]verdict{"pass": pass, "fail": fail, "skip": skipped}[e.Action]
	switch {
	case e.Test == "" && ended:
		if v != skipped { // the package has no tests
			record(r.packages, pkg, v)
		}
	case e.Test == "":
	case ended:
		if v == skipped {
			r.reasons[name] = reason(printed[name])
		}
		delete(printed, name)
		record(r.tests, name, v)
	case e.Action == "run":
		if r.tests[name] != fail {
			r.tests[name] = missing
		}
	case e.Action == "output":
		printed[name] += e.Output
	}
}

// record records the verdict of one more run. A failure stays a failure. A skipped
// test may pass in another run.
func record(m map[string]verdict, name string, now verdict) {
	was, known := m[name]
	switch {
	case !known || was == missing:
		m[name] = now
	case was == fail || now == fail:
		m[name] = fail
	default:
		m[name] = min(was, now)
	}
}

// of returns the verdict on a test or a package, and its reason if there is one.
func (r *results) of(name string) (verdict, string) {
	pkg, test, _ := strings.Cut(name, ".")
	whole, known := r.packages[pkg]
	switch {
	case !known:
		return missing, ""
	case test == "":
		return whole, ""
	}
	if _, known := r.tests[name]; !known {
		return missing, ""
	}
	// go test reports a pass for a test whose subtests were skipped.
	worst, first, blamed := pass, "", false
	for other, v := range r.tests {
		ours := other == name || strings.HasPrefix(other, name+"/")
		if v == missing {
			v = fail // the test binary ended during the test
		}
		if ours && (v > worst || v == worst && (first == "" || other < first)) {
			worst, first = v, other
		}
		blamed = blamed || v == fail && strings.HasPrefix(other, pkg+".")
	}
	if whole == fail && !blamed {
		// TestMain failed after all tests, as it does for a leak.
		return fail, "its package failed"
	}
	return worst, r.reasons[first]
}

// short returns the package's path within the module, or the module's last element
// for the root.
func short(pkg string) string {
	if pkg == module {
		return module[strings.LastIndex(module, "/")+1:]
	}
	return strings.TrimPrefix(pkg, module+"/")
}

var (
	furniture = regexp.MustCompile(`(?m)^\s*(=== |--- ).*\n?`)
	place     = regexp.MustCompile(`(?m)^\s*\w+\.go:\d+: `)
)

// reason returns the reason from the output of a skipped test.
func reason(output string) string {
	output = place.ReplaceAllString(furniture.ReplaceAllString(output, ""), "")
	return strings.Join(strings.Fields(output), " ")
}
