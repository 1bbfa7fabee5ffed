//go:build race

package conformance_test

// raced reports whether the race detector is on. It makes the tests many times slower.
const raced = true
