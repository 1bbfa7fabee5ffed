package grid

import (
	"fmt"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/internal/number"
)

const (
	// busy is the share of the processors above which the client may have been the
	// bottleneck.
	busy = 0.85
	// lateShare is the share of late messages above which an open loop gets a note.
	lateShare = 0.01
)

// addNotes adds notes on limits of the figures.
func (r *run) addNotes() {
	for _, c := range r.Cells {
		for _, o := range c.Outcomes {
			if s := measure.Sample(o.Values("client_share")).Median(); s > busy {
				o.Notes = append(o.Notes, fmt.Sprintf("the client was the bottleneck: it used %s of the processors", number.Percent(s)))
			}
			if s := measure.Sample(o.Values("late_share")).Median(); s > lateShare {
				o.Notes = append(o.Notes, number.Percent(s)+" of the messages left more than a millisecond late; their latency includes this delay of the client or the machine")
			}
		}
	}
}
