package command

import "testing"

func TestAllocationBurst(t *testing.T) {
	const mib = 1 << 20
	var b allocationBurst
	for i, look := range []struct {
		allocated, heap, free, used uint64 // MiB
		ended                       bool
	}{
		{1, 1, 0, 0, false},    // the process has started
		{1, 1, 0, 0, false},    // no free memory to release
		{60, 40, 1, 0, false},  // a burst
		{160, 80, 1, 0, false}, // the burst continues
		{162, 80, 1, 0, true},  // the burst is over
		{163, 50, 0, 0, false}, // only pings
		{164, 50, 0, 0, false},
		{185, 52, 0, 0, false}, // a small one
		{186, 52, 0, 0, true},
		{1186, 60, 40, 0, false}, // steady work
		{2186, 60, 40, 0, false},
		{3187, 60, 40, 0, false},
		{3188, 60, 40, 0, true},
		{3189, 50, 0, 0, false},
		{3190, 50, 40, 0, true},  // stacks were released
		{3215, 75, 0, 24, false}, // large messages
		{3216, 75, 0, 24, true},
		{3217, 75, 0, 24, false}, // continue
		{3218, 75, 0, 24, false},
		{3218, 75, 0, 0, true}, // are over: no further allocation
		{3218, 51, 0, 0, false},
	} {
		if got := b.ended(look.allocated*mib, look.heap*mib, look.free*mib, look.used*mib); got != look.ended {
			t.Errorf("look %d, %d MiB allocated and %d in use: %v", i, look.allocated, look.heap, got)
		}
	}
}
