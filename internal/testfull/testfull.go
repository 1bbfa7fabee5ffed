// Package testfull selects between the short and the full tests.
//
// By default go test ./... takes less than a minute. If the environment variable
// WSECHO_TEST_FULL is not empty, the tests also run the long cases: thousands of
// connections, attacks at full force, every case of a sweep.
package testfull

import (
	"os"
	"testing"
)

// Variable is the name of the environment variable that asks for the full tests.
const Variable = "WSECHO_TEST_FULL"

// Enabled reports whether the full tests run.
func Enabled() bool { return os.Getenv(Variable) != "" }

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
