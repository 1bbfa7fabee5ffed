//go:build !unix

package load

import "time"

// processorTime returns the processor time of this process, 0 if unknown.
func processorTime() time.Duration { return 0 }
