//go:build !race

package peers_test

const large = 1 << 20 // the longest message
