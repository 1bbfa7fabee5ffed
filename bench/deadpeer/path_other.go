//go:build !linux

package deadpeer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/wsecho/bench/measure"
)

// DeadPath is there on Linux alone.
func DeadPath(context.Context, func() (*measure.Process, error), time.Duration) (time.Duration, error) {
	return 0, fmt.Errorf("no path can be cut, which takes Linux: %w", errors.ErrUnsupported)
}
