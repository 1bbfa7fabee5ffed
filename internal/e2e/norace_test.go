//go:build !race

package e2e

import "time"

const manyPeers = 10_000

// attackers are the connections of each attack, forceTime is for how long it goes
// on.
const (
	attackers = 200
	forceTime = 1500 * time.Millisecond
)
