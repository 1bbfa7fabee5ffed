//go:build !race

package e2e

import "time"

const raceEnabled = false

const manyPeers = 10_000

// attackers is the number of connections of each attack. forceTime is its duration.
const (
	attackers = 200
	forceTime = 1500 * time.Millisecond
)
