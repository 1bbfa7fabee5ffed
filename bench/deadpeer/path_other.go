//go:build !linux

package deadpeer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/wsecho/bench/measure"
)

// DeadPath works on Linux only. Elsewhere it returns an error.
func DeadPath(context.Context, func() (*measure.Process, error), time.Duration) (time.Duration, error) {
	return 0, fmt.Errorf("cutting the network path needs Linux: %w", errors.ErrUnsupported)
}
