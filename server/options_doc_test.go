package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/heartbeat"
	"example.com/wsecho/internal/listener"
)

// TestDocumentedDefaults compares the comment of each numeric option with the value that
// the option gets for 0.
func TestDocumentedDefaults(t *testing.T) {
	defaults, err := Options{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	// Package heartbeat applies these.
	defaults.MaxMissed = heartbeat.DefaultMaxMissed
	defaults.PingTimeout = min(heartbeat.DefaultTimeout, defaults.PingInterval/2)
	comments := fieldComments(t, "options.go", "Options")
	value := reflect.ValueOf(defaults)
	for i := range value.NumField() {
		name := value.Type().Field(i).Name
		if !value.Field(i).CanInt() || name == "Compression" { // its 0 is a named mode
			continue
		}
		text := comments[name]
		// In a comment of several fields, the name precedes its 0.
		zero := regexp.MustCompile(`(?:\b` + name + ` |[.] )0(?: or negative)?: ([^;.]+)`).FindStringSubmatch(text)
		if zero == nil {
			t.Errorf("the comment of %s does not explain 0: %s", name, text)
			continue
		}
		want, ok := documented(zero[1])
		if name == "MaxConns" {
			want = int64(listener.MaxConns(int(want)))
		}
		if got := value.Field(i).Int(); !ok || got != want {
			t.Errorf("0 of %s is %d, and its comment has %q", name, got, zero[1])
		}
	}
}

// documented returns the number at the begin of a text such as "16 MiB" or "10,000, or
// the limit". The smaller of a time and another is that time. Words mean 0.
func documented(text string) (int64, bool) {
	text = strings.TrimPrefix(text, "the smaller of ")
	m := regexp.MustCompile(`^([\d,]+)(?: (s|KiB|MiB)\b)?`).FindStringSubmatch(text)
	if m == nil {
		return 0, true
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimRight(m[1], ","), ",", ""), 10, 64)
	unit := map[string]int64{"": 1, "s": int64(time.Second), "KiB": 1 << 10, "MiB": 1 << 20}[m[2]]
	return n * unit, err == nil
}

// fieldComments returns the comment of each field of a struct, as one line.
func fieldComments(t *testing.T, file, name string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return true
		}
		last := ""
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			if f.Doc != nil { // a field without one belongs to the comment above
				last = strings.Join(strings.Fields(f.Doc.Text()), " ")
			}
			for _, id := range f.Names {
				comments[id.Name] = last
			}
		}
		return false
	})
	return comments
}
