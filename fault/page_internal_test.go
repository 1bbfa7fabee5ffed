package fault

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/faults.md")

const page = "../docs/faults.md"

var tableRow = regexp.MustCompile("(?m)^\\| `.*\\n")

// TestPage compares the table in docs/faults.md with the parameters.
func TestPage(t *testing.T) {
	var want strings.Builder
	for _, a := range parameters {
		want.WriteString("| `" + a.name + "=" + a.example + "` | " + a.valid + " | " + a.effect + " |\n")
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	rows := tableRow.FindAllStringIndex(text, -1)
	if len(rows) == 0 {
		t.Fatal("the page has no table")
	}
	start, end := rows[0][0], rows[len(rows)-1][1]
	if *update {
		if err := os.WriteFile(page, []byte(text[:start]+want.String()+text[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text[start:end] != want.String() {
		t.Error("the table differs from the parameters; write it with: go test -run TestPage ./fault -update")
	}
	for _, name := range pathParameters {
		if !strings.Contains(text, "`/"+name+"/") {
			t.Errorf("the page does not name the path of %s", name)
		}
		if !slices.ContainsFunc(parameters, func(a parameter) bool { return a.name == name }) {
			t.Errorf("there is no parameter %s", name)
		}
	}
}

// TestValues: the example value of each parameter is right, N is a number and CODE a code.
func TestValues(t *testing.T) {
	for _, a := range parameters {
		value := strings.NewReplacer("N", "3", "CODE", "4001").Replace(a.example)
		if !a.set(new(plan), value) {
			t.Errorf("%s=%s is refused", a.name, value)
		}
		if a.set(new(plan), "x:") && a.name != "reason" {
			t.Errorf("%s=x: is not refused", a.name)
		}
	}
}
