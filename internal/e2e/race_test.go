//go:build race

package e2e

import "time"

const raceEnabled = true

// The race detector supports at most 8128 goroutines.
const manyPeers = 3_000

// The race detector also slows the attackers, which the test does not measure. So
// there are fewer attackers, for a shorter time.
const (
	attackers = 50
	forceTime = 300 * time.Millisecond
)
