package testfull

import (
	"fmt"
	"os"
	"testing"
)

// Missing skips a test that cannot run here, such as one that lacks a tool. If the
// environment variable CI is set, it fails the test, because .ci/run installs every tool.
// The reason is a clause such as "there is no promtool".
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if os.Getenv("CI") != "" {
		t.Fatalf("CI is set, so this test must run: %s", why)
	}
	t.Skipf("NOT TESTED HERE: %s", why)
}
