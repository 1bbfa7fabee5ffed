package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/wsecho/wstest"
)

// patience is how long a test waits for what takes a moment. The machine may be
// busy.
const patience = 30 * time.Second

// TestMain lets the test binary be wsecho, too, where it is called by that name.
func TestMain(m *testing.M) {
	testscript.Main(wstest.Verified{M: m}, map[string]func(){"wsecho": main})
}

// missing is for a test that cannot run here. It fails in CI, where everything
// is to be there.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if os.Getenv("CI") != "" {
		t.Fatalf("CI is set, and yet this cannot be tested: %s", why)
	}
	t.Skipf("NOT TESTED HERE: %s", why)
}
