//go:build race

package server_test

// trials are how often a time is measured. A handshake of TLS is dear here.
const trials = 10
