package load

import (
	"context"
	"time"
)

// pace makes each message due at its time, until the run is over.
func (t *run) pace(ctx context.Context, ended <-chan struct{}) {
	interval := float64(time.Second) / t.plan.Rate
	for next := int64(0); ; {
		now := t.now()
		for due := float64(min(now, t.to)); float64(next)*interval <= due; next++ {
			if at := time.Duration(float64(next) * interval); at >= t.to {
				return
			}
			c := t.conns[next%int64(len(t.conns))]
			c.due.Add(1)
			c.wakeWriter()
		}
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		default:
		}
		// sleep returns after a tenth of a second, so that the loop sees an end.
		sleep(min(time.Duration(float64(next)*interval), t.to) - t.now())
		if now >= t.to {
			return
		}
	}
}

// lateBy is the largest delay of a message that does not count as late.
const lateBy = time.Millisecond

// A lateness counts messages that left late because of this client or its machine.
type lateness struct {
	lastWrite  time.Duration // when the last write ended; a delay until then is the server's
	sent, late int64
}

// before counts n messages that are about to be sent, beginning with message from.
func (l *lateness) before(c *conn, from int64, n int, now time.Duration) {
	t := c.owner
	for i := from; i < from+int64(n); i++ {
		due := t.dueAt(c.id, i)
		if due < t.from || due >= t.to {
			continue
		}
		l.sent++
		if now-max(due, l.lastWrite) > lateBy {
			l.late++
		}
	}
}
