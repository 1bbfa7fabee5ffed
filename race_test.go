//go:build race

package main

// The race detector knows 8128 goroutines at most.
const manyPeers = 3_000
