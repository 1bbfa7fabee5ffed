//go:build race

package peers_test

// large is the longest message beside those without any option: the race detector makes
// compression very slow.
const large = 100_000
