//go:build !unix

package load

import "time"

// processorTime is what this process has used, 0 where that is not known.
func processorTime() time.Duration { return 0 }
