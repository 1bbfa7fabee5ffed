//go:build race

package server_test

// trials is the number of measurements of a time. A TLS handshake is slow under the
// race detector.
const trials = 10

// parallel is the number of tests that run at once.
const parallel = 12
