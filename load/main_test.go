package load_test

import (
	"flag"
	"os"
	"testing"

	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	testfull.Parallel(16, 2)
	os.Exit(wstest.VerifyNoLeaks(m))
}
