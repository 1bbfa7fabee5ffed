package probe_test

import (
	"flag"
	"os"
	"testing"

	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// They wait for most of the time, so there may be more at once than processors.
	// For fuzzing the flag is the number of processes.
	if f := flag.Lookup("test.fuzz"); f == nil || f.Value.String() == "" {
		if err := flag.Set("test.parallel", "16"); err != nil {
			panic(err)
		}
	}
	os.Exit(wstest.VerifyNoLeaks(m))
}
