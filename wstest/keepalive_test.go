package wstest_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/wstest"
)

// watch is the client under test. It pings every 30 seconds, and returns when the
// connection ends or a pong is missing for 10 seconds.
func watch(ctx context.Context, client *http.Client, url string) error {
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return err
	}
	defer c.CloseNow()
	ctx = c.CloseRead(ctx)
	for {
		time.Sleep(30 * time.Second)
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := c.Ping(wait)
		cancel()
		if err != nil {
			return err
		}
	}
}

func TestWatch(t *testing.T) {
	for _, tt := range []struct {
		fault wstest.Fault
		took  time.Duration // until watch returns
	}{
		{wstest.NoPong(), 40 * time.Second},
		{wstest.PongsThenNone(2), 100 * time.Second},
		{wstest.LatePong(11 * time.Second), 40 * time.Second},
		{wstest.WrongPong(), 40 * time.Second},
		{wstest.StallRead(), 40 * time.Second},
		{wstest.Status(503), 0},
	} {
		t.Run(tt.fault.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := wstest.NewPipeServer(t, tt.fault)
				start := time.Now()
				err := watch(t.Context(), s.HTTPClient(), s.URL)
				if took := time.Since(start); err == nil || took != tt.took {
					t.Errorf("got %v after %v, want an error after %v", err, took, tt.took)
				}
				r, err := s.Next(t.Context())
				if err != nil || r.Violation != "" {
					t.Errorf("got %v, %v", r, err)
				}
			})
		})
	}
}
