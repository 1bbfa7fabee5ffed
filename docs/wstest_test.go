package docs

import (
	"strings"
	"testing"
)

// TestWstestPage checks that the example in wstest.md is a test that runs.
func TestWstestPage(t *testing.T) {
	if !strings.Contains(read(t, "wstest.md"), "```go\n"+read(t, "../wstest/keepalive_test.go")+"```\n") {
		t.Error("the last block of wstest.md is not wstest/keepalive_test.go; copy that file")
	}
}
