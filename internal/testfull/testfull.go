// Package testfull selects between the short and the full tests, and lets tests that wait
// run at once. It also has the rule for tests that lack a tool, and measures the delays of a
// busy machine.
//
// By default go test ./... takes about a minute and a half. If the environment variable
// WSECHO_TEST_FULL is not empty, the tests also run the long cases. These are thousands of
// connections, attacks at full force, and every case of a sweep.
package testfull

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

// Variable is the name of the environment variable that asks for the full tests.
const Variable = "WSECHO_TEST_FULL"

// Enabled reports whether the full tests run.
func Enabled() bool { return os.Getenv(Variable) != "" }

// Parallel lets n tests run at once, in a package whose tests mostly wait. Under the race
// detector, which makes each of them several times slower, race tests run at once. TestMain
// calls it after flag.Parse. It does nothing while fuzzing, because the flag is then the
// number of processes.
func Parallel(n, race int) {
	if raceEnabled {
		n = race
	}
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(n)); err != nil {
		panic(err) // the flag is there in each test binary
	}
}

// Only skips the test unless the full tests run. The reason is a clause such as
// "10,000 connections take 40 s".
func Only(t testing.TB, reason string) {
	t.Helper()
	if !Enabled() {
		t.Skipf("%s: set %s=1 to run this test", reason, Variable)
	}
}

// N returns full if the full tests run, else short. It sizes a sweep: the number of
// cases, rounds or connections.
func N(short, full int) int {
	if Enabled() {
		return full
	}
	return short
}
