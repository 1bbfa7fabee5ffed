// Package testfull says how much the tests run.
//
// By default go test ./... takes less than a minute. With the environment variable
// WSECHO_TEST_FULL set to anything, the tests also run what takes longer: thousands
// of connections, attacks at full force, every case of a sweep.
package testfull

import (
	"os"
	"testing"
)

// Variable is the name of the environment variable that asks for the full tests.
const Variable = "WSECHO_TEST_FULL"

// Enabled reports whether the full tests run.
func Enabled() bool { return os.Getenv(Variable) != "" }

// Only skips the test unless the full tests run. The reason is a clause that says why
// the test is not for every run, such as "10,000 connections take 40 s".
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
