package main

import (
	"bufio"
	"encoding/json"
	"io"
	"regexp"
	"strings"
)

// A verdict on a test, or on a row of the page. The worse are greater.
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

// module is what the import paths of packages begin with. The root package is
// known by its last element.
const module = "example.com/wsecho"

// results are what go test -json has said, by the name of a test, such as
// server.TestEndings/idle/, or of a package, such as server. A package's path has
// no dot in it.
type results struct {
	tests    map[string]verdict // missing is one that has begun and not ended
	reasons  map[string]string  // of those that were skipped
	packages map[string]verdict
}

// read reads the results. Lines that are no JSON are what the tools have said
// beside them.
func read(r io.Reader) (results, error) {
	res := results{tests: make(map[string]verdict), reasons: make(map[string]string), packages: make(map[string]verdict)}
	said := make(map[string]string)
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) == nil && e.Package != "" {
			res.take(e, said)
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

// take adds an event. said is what the tests that run have printed.
func (r *results) take(e event, said map[string]string) {
	pkg := short(e.Package)
	name := pkg + "." + e.Test
	v, ended := map[string]verdict{"pass": pass, "fail": fail, "skip": skipped}[e.Action]
	switch {
	case e.Test == "" && ended:
		if v != skipped { // there is no test in it
			again(r.packages, pkg, v)
		}
	case e.Test == "":
	case ended:
		if v == skipped {
			r.reasons[name] = reason(said[name])
		}
		delete(said, name)
		again(r.tests, name, v)
	case e.Action == "run":
		if r.tests[name] != fail {
			r.tests[name] = missing
		}
	case e.Action == "output":
		said[name] += e.Output
	}
}

// again notes the verdict of one more run. What has failed once has failed; what
// is skipped in one run may be shown by another.
func again(m map[string]verdict, name string, now verdict) {
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

// of is the verdict on a test or a package, and what there is to say about it.
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
	// go test calls a test passed whose subtests were skipped.
	worst, first, blamed := pass, "", false
	for other, v := range r.tests {
		ours := other == name || strings.HasPrefix(other, name+"/")
		if v == missing {
			v = fail // it has begun, and its binary ended in the midst of it
		}
		if ours && (v > worst || v == worst && (first == "" || other < first)) {
			worst, first = v, other
		}
		blamed = blamed || v == fail && strings.HasPrefix(other, pkg+".")
	}
	if whole == fail && !blamed {
		// What is wrong shows only when all have run, as a leak does.
		return fail, "its package failed"
	}
	return worst, r.reasons[first]
}

// short is a package's path within the module, the module's last element for the
// root.
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

// reason is what a test said that was skipped.
func reason(said string) string {
	said = place.ReplaceAllString(furniture.ReplaceAllString(said, ""), "")
	return strings.Join(strings.Fields(said), " ")
}
