package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// declared returns the names that a Go file declares: F for a function, T for a type,
// and (*T).M or T.M for a method.
func declared(t *testing.T, file string) map[string]bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names[receiver(d)+d.Name.Name] = true
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names[s.Name.Name] = true
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names[n.Name] = true
					}
				}
			}
		}
	}
	return names
}

// receiver returns "(*T)." or "T." for a method, and "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	typ, form := d.Recv.List[0].Type, [2]string{"", "."}
	if star, ok := typ.(*ast.StarExpr); ok {
		typ, form = star.X, [2]string{"(*", ")."}
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	return form[0] + typ.(*ast.Ident).Name + form[1]
}

var (
	goFile   = regexp.MustCompile(`((?:[\w-]+/)*[\w-]+\.go)(?:: ((?:\(\*\w+\)\.|\w+\.)?\w+))?`)
	goFolder = regexp.MustCompile("(?m)(?:^ {4}|`)((?:[a-z0-9-]+/)+)(?:[ `])")
)

// TestArchitecture checks that every file, folder and declaration that the page of
// the architecture names exists.
func TestArchitecture(t *testing.T) {
	page := read(t, "architecture.md")
	files, names := 0, 0
	for _, m := range goFile.FindAllStringSubmatch(page, -1) {
		file := filepath.Join("..", m[1])
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		files++
		if m[2] == "" {
			continue
		}
		names++
		if !declared(t, file)[m[2]] {
			t.Errorf("%s does not declare %s", m[1], m[2])
		}
	}
	for _, m := range goFolder.FindAllStringSubmatch(page, -1) {
		if info, err := os.Stat(filepath.Join("..", m[1])); err != nil || !info.IsDir() {
			t.Errorf("%s is no folder: %v", m[1], err)
		}
	}
	if files < 20 || names < 15 {
		t.Errorf("got %d files and %d names, want at least 20 and 15", files, names)
	}
}
