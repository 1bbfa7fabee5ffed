package deadpeer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/wsecho/wstest"
)

// Drain connects n clients, echoes one message on each, and calls terminate. terminate
// asks the server to shut down. Every second client answers the close frame. It
// returns the share of clients that received a close frame, and describes how the
// connections ended. took is the time until ended was closed, or 0 if it was not closed
// within bound.
func Drain(ctx context.Context, addr string, n int, terminate func() error, ended <-chan struct{}, bound time.Duration) (receivedClose float64, endings string, took time.Duration, err error) {
	if n < 1 {
		return 0, "", 0, fmt.Errorf("a drain needs at least one client, not %d", n)
	}
	clients, err := dialAll(ctx, addr, n)
	defer func() {
		for _, c := range clients {
			_ = c.RST() // the measurement is over
		}
	}()
	if err != nil {
		return 0, "", 0, err
	}
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	errs, over := make([]error, n), make([]bool, n)
	var listening sync.WaitGroup
	for i, c := range clients {
		listening.Go(func() {
			over[i], errs[i] = c.listen(bounded, wstest.AnswerOptions{NoClose: i%2 == 1}, nil)
		})
	}
	began := time.Now()
	if err = terminate(); err != nil {
		cancel()
		listening.Wait()
		return 0, "", 0, fmt.Errorf("terminating the server: %w", err)
	}
	select {
	case <-ended:
		took = time.Since(began)
	case <-bounded.Done():
	}
	listening.Wait()
	if err = errors.Join(errs...); err != nil {
		return 0, "", 0, err
	}
	if ctx.Err() != nil {
		return 0, "", 0, context.Cause(ctx)
	}
	received := 0
	for i, c := range clients {
		if !c.closed.IsZero() {
			received++
		} else if !over[i] {
			c.ending = "no close frame, TCP open"
		}
	}
	if endings = tally(clients); took == 0 {
		endings += fmt.Sprintf("; the server still ran after %v", bound)
	}
	return float64(received) / float64(n), endings, took, nil
}

// dialAll returns n clients, or an error and the clients that it could connect.
func dialAll(ctx context.Context, addr string, n int) ([]*client, error) {
	var (
		clients []*client
		err     error
		mu      sync.Mutex
		dialing sync.WaitGroup
	)
	slots := make(chan struct{}, 32)
	for range n {
		slots <- struct{}{}
		dialing.Go(func() {
			c, dialErr := dial(ctx, addr)
			<-slots
			mu.Lock()
			defer mu.Unlock()
			if dialErr == nil {
				clients = append(clients, c)
			} else if err == nil {
				err = dialErr
			}
		})
	}
	dialing.Wait()
	return clients, err
}

// tally describes how the connections ended. If the endings differ, it counts each one,
// with the most frequent first.
func tally(clients []*client) string {
	var order []string
	counts := make(map[string]int)
	for _, c := range clients {
		if counts[c.ending]++; counts[c.ending] == 1 {
			order = append(order, c.ending)
		}
	}
	if len(order) == 1 {
		return order[0]
	}
	slices.SortStableFunc(order, func(a, b string) int { return counts[b] - counts[a] })
	for i, s := range order {
		order[i] = fmt.Sprintf("%d: %s", counts[s], s)
	}
	return strings.Join(order, "; ")
}
