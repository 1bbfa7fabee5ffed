//go:build race

package e2e

import "time"

// The race detector knows 8128 goroutines at most.
const manyPeers = 3_000

// The attackers are slowed as well, which are not what is looked at: so there are
// fewer of them, and for a shorter time.
const (
	attackers = 50
	forceTime = 300 * time.Millisecond
)
