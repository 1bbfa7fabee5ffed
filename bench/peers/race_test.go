//go:build race

package peers_test

// large is the longest message in tests with options, because the race detector makes
// compression very slow.
const large = 100_000
