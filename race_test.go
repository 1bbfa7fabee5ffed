//go:build race

package main

import "time"

// The race detector knows 8128 goroutines at most.
const manyPeers = 3_000

// forceTime is short: an attack is told apart from others where nothing is slowed.
const forceTime = 300 * time.Millisecond
