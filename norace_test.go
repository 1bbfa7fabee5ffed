//go:build !race

package main

import "time"

const manyPeers = 10_000

// forceTime is for how long each attack goes on.
const forceTime = 1500 * time.Millisecond
