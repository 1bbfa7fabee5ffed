package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declared returns the names that a Go file declares. A function is F, and a type is T. A
// field is T.F, and a method is (*T).M or T.M.
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
					if typ, ok := s.Type.(*ast.StructType); ok {
						for _, field := range typ.Fields.List {
							for _, name := range fieldNames(field) {
								names[s.Name.Name+"."+name] = true
							}
						}
					}
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

// fieldNames returns the names of a field. That of an embedded one is its type's.
func fieldNames(field *ast.Field) (names []string) {
	for _, n := range field.Names {
		names = append(names, n.Name)
	}
	if len(names) == 0 {
		typ := types.ExprString(field.Type)
		names = []string{typ[strings.LastIndexAny(typ, ".*")+1:]}
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
	// A file, and perhaps a name that it declares. The name may be on the next line.
	fileAndName = regexp.MustCompile(`((?:[\w-]+/)*[\w-]+\.(?:go|json|js|css|html|md|yaml)\b)(?::\s+((?:\(\*\w+\)\.|\w+\.)?\w+))?`)
	folder      = regexp.MustCompile(`[a-z][\w.-]*/[\w./-]*\w/?|\w+/`)
	// A name without its file, such as Kind.Abnormal, closeAtOnce or `Serve`.
	bareName = regexp.MustCompile("\\w+\\.[A-Z]\\w*|\\b[a-z]+[A-Z]\\w*|`\\w+`")
)

// foreign are the names and paths of other projects on the page.
var foreign = regexp.MustCompile(`websocket\.Accept|net/http|net\.Conn|crypto/tls`)

// TestArchitecture checks that every file, folder and declaration that the page of the
// architecture names exists. A declaration follows its file. Later it may stand alone.
func TestArchitecture(t *testing.T) {
	page := foreign.ReplaceAllString(read(t, "architecture.md"), "")
	files, names := 0, make(map[string]bool)
	for _, m := range fileAndName.FindAllStringSubmatch(page, -1) {
		file := filepath.Join("..", m[1])
		if !strings.Contains(m[1], "/") || strings.HasPrefix(m[1], "adr/") { // a link to another page
			file = m[1]
		}
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		files++
		if m[2] == "" {
			continue
		}
		if filepath.Ext(file) != ".go" || !declared(t, file)[m[2]] {
			t.Errorf("%s does not declare %s", m[1], m[2])
		}
		names[m[2]] = true
		names[m[2][strings.LastIndex(m[2], ".")+1:]] = true
	}
	if files < 90 || len(names) < 90 {
		t.Errorf("got %d files and %d names, want at least 90 and 90", files, len(names))
	}
	page = fileAndName.ReplaceAllString(page, "")
	for _, name := range folder.FindAllString(page, -1) {
		if info, err := os.Stat(filepath.Join("..", name)); err != nil || !info.IsDir() {
			t.Errorf("%s is no folder: %v", name, err)
		}
	}
	page = folder.ReplaceAllString(page, "")
	for _, name := range bareName.FindAllString(page, -1) {
		if !names[strings.Trim(name, "`")] {
			t.Errorf("%s has no file on the page", name)
		}
	}
}

// TestLocks checks that the section about the locks names every mutex of the packages that
// serve a connection.
func TestLocks(t *testing.T) {
	_, section, ok := strings.Cut(read(t, "architecture.md"), "## Locks")
	if !ok {
		t.Fatal("the page has no section about the locks")
	}
	named := make(map[string]bool)
	for _, m := range fileAndName.FindAllStringSubmatch(section, -1) {
		named[m[1]+": "+m[2]] = true
	}
	found := 0
	for _, dir := range []string{"server", "echo", "heartbeat", "fault", "internal/transport", "internal/frame", "internal/deflate", "internal/socket", "internal/fairness", "internal/listener"} {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: got no files, %v", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, lock := range locks(t, file) {
				found++
				if name := filepath.ToSlash(file[len("../"):]) + ": " + lock; !named[name] {
					t.Errorf("the section about the locks does not name %s", name)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d locks, want at least 20", found)
	}
}

// locks returns the fields of the structs in a file that are mutexes or semaphores.
func locks(t *testing.T, file string) (all []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		typ, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range typ.Fields.List {
			if lockType.MatchString(types.ExprString(field.Type)) {
				for _, name := range fieldNames(field) {
					all = append(all, spec.Name.Name+"."+name)
				}
			}
		}
		return true
	})
	return all
}

var lockType = regexp.MustCompile(`(?:sync\.(?:RW)?Mutex|semaphore\.Weighted)$`)
