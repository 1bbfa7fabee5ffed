package deadpeer

import (
	"context"
	"fmt"
	"time"

	"example.com/wsecho/wstest"
)

// grace is how long a server may wait for the answer to its close frame.
const grace = 5 * time.Second

// Dead has a message echoed by the server at addr and falls silent then: the
// kernel still acknowledges all that comes, but no ping and no close frame is
// answered. It returns how long the server took to notice, which is until its
// close frame or else the end of TCP came, and which of that it was in a few
// words. Where nothing of it has come within bound, noticed is 0. After a close
// frame it waits for the end of TCP too, for a while.
func Dead(ctx context.Context, addr string, bound time.Duration) (noticed time.Duration, said string, err error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	silent := time.Now()
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(bound, cancel)
	defer timer.Stop()
	ended, err := c.listen(bounded, wstest.AnswerOptions{NoPong: true, NoClose: true}, func() { timer.Reset(grace) })
	switch {
	case err != nil:
		return 0, "", err
	case ctx.Err() != nil:
		return 0, "", context.Cause(ctx)
	case ended && c.closed.IsZero():
		return time.Since(silent), c.said, nil
	case c.closed.IsZero():
		return 0, fmt.Sprintf("nothing in %v", bound), nil
	case !ended:
		c.said += fmt.Sprintf(", but TCP was still open %.1f s later", time.Since(c.closed).Seconds())
	}
	return c.closed.Sub(silent), c.said, nil
}
