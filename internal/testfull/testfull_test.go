package testfull_test

import (
	"flag"
	"fmt"
	"testing"

	"example.com/wsecho/internal/testfull"
)

// recorder records the reason of a skip or a failure instead of ending the test.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(format string, args ...any) { r.skipped = fmt.Sprintf(format, args...) }

func (r *recorder) Fatalf(format string, args ...any) { r.failed += fmt.Sprintf(format, args...) }

// TestMissing: a missing tool is a failure under CI only.
func TestMissing(t *testing.T) {
	for _, test := range []struct{ ci, skipped, failed string }{
		{"", "NOT TESTED HERE: there is no sh", ""},
		{"true", "NOT TESTED HERE: there is no sh", "CI is set, so this test must run: there is no sh"},
	} {
		t.Setenv("CI", test.ci)
		r := &recorder{TB: t}
		testfull.Missing(r, "there is no %s", "sh")
		if r.skipped != test.skipped || r.failed != test.failed {
			t.Errorf("CI=%q: skipped with %q and failed with %q, want %q and %q", test.ci, r.skipped, r.failed, test.skipped, test.failed)
		}
	}
}

func TestByDefault(t *testing.T) {
	t.Setenv(testfull.Variable, "")
	r := &recorder{TB: t}
	testfull.Only(r, "10,000 connections take 40 s")
	want := "10,000 connections take 40 s: set WSECHO_TEST_FULL=1 to run this test"
	if r.skipped != want {
		t.Errorf("Only skipped with %q, want %q", r.skipped, want)
	}
	if got := testfull.N(3, 300); got != 3 {
		t.Errorf("N(3, 300) = %d, want 3", got)
	}
}

func TestParallel(t *testing.T) {
	f := flag.Lookup("test.parallel")
	before := f.Value.String()
	testfull.Parallel(13, 13)
	if got := f.Value.String(); got != "13" {
		t.Errorf("got %s, want 13", got)
	}
	if err := flag.Set("test.parallel", before); err != nil {
		t.Fatal(err)
	}
}

// TestEnabled passes if the variable is set, and is skipped otherwise.
// internal/conformance/table refuses the results of a run that skipped it.
func TestEnabled(t *testing.T) { testfull.Only(t, "a default run samples the tables") }

func TestInFull(t *testing.T) {
	t.Setenv(testfull.Variable, "1")
	r := &recorder{TB: t}
	testfull.Only(r, "10,000 connections take 40 s")
	if r.skipped != "" {
		t.Errorf("Only skipped with %q, want no skip", r.skipped)
	}
	if got := testfull.N(3, 300); got != 300 {
		t.Errorf("N(3, 300) = %d, want 300", got)
	}
}
