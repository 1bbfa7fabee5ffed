// Package proxies tests docs/behind-a-proxy.md. It runs the blocks of that page with the
// proxies themselves.
package proxies

import (
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/wsecho/internal/command"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// waitLimit bounds each wait of a test. A busy machine may need seconds for an event.
const waitLimit = 30 * time.Second

// TestMain runs wsecho if the test binary is called by that name.
func TestMain(m *testing.M) {
	testfull.Parallel(16, 4)
	testscript.Main(wstest.Verified{M: m}, map[string]func(){"wsecho": func() { os.Exit(command.Main("")) }})
}
