package report_test

import (
	"io"
	"testing"

	"example.com/wsecho/bench/report"
)

// TestFew: fewer rounds than an interval takes are shown too.
func TestFew(t *testing.T) {
	for _, rounds := range []int{0, 1, 2, 5} {
		r := synthetic(rounds)
		if err := report.HTML(io.Discard, r); err != nil {
			t.Errorf("%d rounds: %v", rounds, err)
		}
	}
}
