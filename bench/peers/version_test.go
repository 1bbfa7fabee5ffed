package peers

import (
	"debug/buildinfo"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestVersion: a program knows the versions of all peers in it. A test binary has no list
// of modules, so the test builds another program.
func TestVersion(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "cost")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/cost").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`^v\d+\.\d+\.\d+( on [a-z/]+ v\d+\.\d+\.\d+)?$`)
	for _, p := range All() {
		v := p.Version()
		if p.version == nil {
			v = moduleVersions(info, p.modules)
		}
		switch {
		case p.Name == "wsecho", p.Name == "embedded", p.Name == "embedded-park":
			if v != "(devel)" {
				t.Errorf("%s: %q", p.Name, v)
			}
		case p.version != nil:
			if p.Missing() == nil && !regexp.MustCompile(`\d`).MatchString(v) {
				t.Errorf("%s: %q", p.Name, v)
			}
		case !version.MatchString(v):
			t.Errorf("%s: %q", p.Name, v)
		}
		t.Logf("%s: %s %s. %s", p.Name, p.Title, v, p.Note)
	}
	if v := moduleVersions(info, []string{"example.com/unknown"}); v != "(unknown)" {
		t.Errorf("a module that is not there: %q", v)
	}
}

// TestDefaultFlags: variables that set flags of wsecho do not reach the measured server.
func TestDefaultFlags(t *testing.T) {
	got := defaultFlags([]string{"PATH=/bin", "WSECHO_PING_INTERVAL=1s", "HOME=/", "WSECHO_BENCH_NBIO=x"})
	if want := []string{"PATH=/bin", "HOME=/"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
