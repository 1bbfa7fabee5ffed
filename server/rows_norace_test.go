//go:build !race

package server_test

// trials are how often a time is measured.
const trials = 50
