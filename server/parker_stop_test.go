package server

import (
	"context"
	"testing"
	"testing/synctest"

	"example.com/wsecho/internal/socket"
)

// TestDrainWaitsForParker: a drain, and so Serve, is over only when the goroutines of the
// parker have returned.
func TestDrainWaitsForParker(t *testing.T) {
	poller, err := socket.NewPoller()
	if err != nil {
		t.Skip(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := New(func(context.Context, *Conn) error { return nil }, Options{})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		p := &parker{poller: poller, done: make(chan struct{})}
		p.group.Go(func() error { <-release; return nil })
		s.parker.Store(p)
		go func() { _ = s.Shutdown(context.Background()) }()
		synctest.Wait()
		select {
		case <-s.drained:
			t.Error("the drain is over, and a goroutine of the parker runs")
		default:
		}
		close(release)
		<-s.drained
	})
}
