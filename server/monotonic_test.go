package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wallClock returns the calls in the source that lose the monotonic reading of a time. A
// step of the wall clock would change computations with the result. time.Unix(1, 0) is
// allowed as a deadline in the past. So are the times of a certificate, which have no monotonic
// reading, and a time that is only printed.
func wallClock(t *testing.T, name string, src any) (found []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	printed := make(map[ast.Node]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if f.Sel.Name == "Format" || f.Sel.Name == "Year" {
			printed[f.X] = true
		}
		var args []string
		for _, a := range call.Args {
			if l, ok := a.(*ast.BasicLit); ok {
				args = append(args, l.Value)
			} else {
				args = append(args, "?")
			}
		}
		of, _ := f.X.(*ast.Ident)
		text := f.Sel.Name + "(" + strings.Join(args, ", ") + ")"
		if of, ok := f.X.(*ast.SelectorExpr); ok && (of.Sel.Name == "NotAfter" || of.Sel.Name == "NotBefore") {
			return true
		}
		switch f.Sel.Name {
		case "UTC", "Local", "In", "AddDate":
			if printed[call] {
				return true
			}
		case "UnixNano", "UnixMicro", "UnixMilli":
		case "Unix":
			if len(args) > 0 && (of == nil || of.Name != "time") || text == "Unix(1, 0)" {
				return true
			}
		case "Round", "Truncate": // of a time with another argument too, but most are of a duration
			if len(args) != 1 || args[0] != "0" {
				return true
			}
		default:
			return true
		}
		found = append(found, files.Position(call.Pos()).String()+": "+text)
		return true
	})
	return found
}

// isModule reports whether the folder is a module of its own, such as bench.
func isModule(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

// TestMonotonic: the library measures with the monotonic clock.
func TestMonotonic(t *testing.T) {
	t.Parallel()
	inJSON := map[string]bool{"../internal/command/admin_connections.go": true, "../load/run.go": true} // their times are only printed
	seen := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || isModule(path)):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		seen++
		for _, f := range wallClock(t, path, nil) {
			if inJSON[path] && strings.HasSuffix(f, ": UTC()") {
				continue
			}
			t.Errorf("%s loses the monotonic reading", f)
		}
		return nil
	})
	if err != nil || seen < 50 {
		t.Errorf("got %d files, %v", seen, err)
	}
}

// TestWallClock: the test above finds each such call.
func TestWallClock(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		code  string
		wrong bool
	}{
		{"time.Now().UnixNano()", true},
		{"time.Now().Unix()", true},
		{"time.Now().UnixMilli()", true},
		{"time.Unix(0, n)", true},
		{"time.UnixMilli(n)", true},
		{"time.Now().Round(0)", true},
		{"time.Now().Truncate(0)", true},
		{"time.Now().UTC()", true},
		{"time.Now().Local()", true},
		{"time.Now().In(zone)", true},
		{"time.Now().AddDate(0, 0, 1)", true},
		{"time.Now().UTC().Format(time.RFC3339)", false},
		{"cert.NotBefore.UTC()", false},
		{"time.Unix(1, 0)", false},
		{"net.Unix(n)", false},
		{"cert.NotAfter.Unix()", false},
		{"d.Round(time.Second)", false},
	} {
		got := wallClock(t, "x.go", "package x\nvar _ = "+test.code)
		if (len(got) > 0) != test.wrong {
			t.Errorf("%s: got %v", test.code, got)
		}
	}
}
