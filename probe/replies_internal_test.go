package probe

import (
	"testing"
	"time"
)

// TestReplies compares the figures with values computed by hand.
func TestReplies(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		rtts []time.Duration
		want Replies
	}{
		{[]time.Duration{7 * ms}, Replies{Min: 7 * ms, Mean: 7 * ms, Max: 7 * ms}},
		// The squared distances from the mean are 225, 25, 225 and 25; a third of the sum is
		// 166.67. The differences are 10, 20 and 10.
		{[]time.Duration{10 * ms, 20 * ms, 40 * ms, 30 * ms}, Replies{Min: 10 * ms, Mean: 25 * ms, Max: 40 * ms, Deviation: 12909944 * time.Nanosecond, Jitter: 13333333 * time.Nanosecond}},
		{[]time.Duration{6 * ms, 6 * ms, 6 * ms}, Replies{Min: 6 * ms, Mean: 6 * ms, Max: 6 * ms}},
	} {
		var r Replies
		for _, d := range test.rtts {
			r.add(d)
		}
		got := Replies{Min: r.Min, Mean: r.Mean, Max: r.Max, Deviation: r.Deviation, Jitter: r.Jitter}
		if got != test.want || r.Received != len(test.rtts) {
			t.Errorf("%v: got %+v, want %+v", test.rtts, got, test.want)
		}
	}
}
