//go:build race

package conformance_test

// raced is whether everything takes many times as long.
const raced = true
