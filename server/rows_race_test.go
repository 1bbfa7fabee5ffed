//go:build race

package server_test

// trials is the number of measurements of a time. A TLS handshake is slow under the
// race detector.
const trials = 10
