package command

import (
	"flag"
	"os"
	"testing"
	"time"

	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// waitLimit bounds each wait for an event. A busy machine may need seconds.
const waitLimit = 30 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	testfull.Parallel(16, 4)
	os.Exit(wstest.VerifyNoLeaks(m))
}
