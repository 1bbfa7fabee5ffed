package deadpeer

import (
	"context"
	"fmt"
	"time"

	"example.com/wsecho/wstest"
)

// grace is the longest time that a server may wait for the answer to its close frame.
const grace = 5 * time.Second

// Dead echoes one message with the server at addr, and then answers no ping and no close
// frame. The kernel still acknowledges all data. Dead returns the time until a close
// frame, FIN or RST arrived, and a description of the ending. noticed is 0 if none
// arrived within bound. After a close frame, Dead also waits for FIN or RST.
func Dead(ctx context.Context, addr string, bound time.Duration) (noticed time.Duration, ending string, err error) {
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
		return time.Since(silent), c.ending, nil
	case c.closed.IsZero():
		return 0, fmt.Sprintf("nothing in %v", bound), nil
	case !ended:
		c.ending += fmt.Sprintf(", but TCP was still open %.1f s later", time.Since(c.closed).Seconds())
	}
	return c.closed.Sub(silent), c.ending, nil
}
