package deadpeer

import (
	"context"
	"fmt"
	"time"

	"example.com/wsecho/wstest"
)

// grace is the longest time that a server may wait for the answer to its close frame.
const grace = 5 * time.Second

// Dead echoes a message with the server at addr, and then answers no ping and no close
// frame. The kernel still acknowledges all data. It returns the time until the close
// frame or the end of TCP arrived, and says which of the two it was. noticed is 0 if
// neither arrived within bound. After a close frame it waits for the end of TCP too.
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
