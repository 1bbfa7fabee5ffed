package load

import (
	"context"
	"time"
)

// pace lets each message go when it is due, until the run is over.
func (t *run) pace(ctx context.Context, gone <-chan struct{}) {
	interval := float64(time.Second) / t.plan.Rate
	for next := int64(0); ; {
		now := t.now()
		for due := float64(min(now, t.to)); float64(next)*interval <= due; next++ {
			if at := time.Duration(float64(next) * interval); at >= t.to {
				return
			}
			c := t.conns[next%int64(len(t.conns))]
			c.due.Add(1)
			c.rouse()
		}
		select {
		case <-ctx.Done():
			return
		case <-gone:
			return
		default:
		}
		// Not longer, so that an end is seen.
		sleep(min(time.Duration(float64(next)*interval), t.to) - t.now())
		if now >= t.to {
			return
		}
	}
}

// lateBy is how late a message may leave before the client is at fault.
const lateBy = time.Millisecond

// lateness counts messages that have left late though nothing but this client had
// kept them.
type lateness struct {
	free       time.Duration // when the last write ended: what a server does not take is not our fault
	sent, late int64
}

// before is for n messages, from the given one on, that are about to be sent.
func (l *lateness) before(c *conn, from int64, n int, now time.Duration) {
	t := c.owner
	for i := from; i < from+int64(n); i++ {
		due := t.dueAt(c.id, i)
		if due < t.from || due >= t.to {
			continue
		}
		l.sent++
		if now-max(due, l.free) > lateBy {
			l.late++
		}
	}
}
