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

// Drain has n clients with an echoed message each, and calls terminate, which
// tells the server to end; every other client answers the close frame that it
// hears. It returns the share of clients that heard one before their stream
// ended, what they heard in a few words, and how long it took until ended was
// closed. Where that has not been within bound, took is 0.
func Drain(ctx context.Context, addr string, n int, terminate func() error, ended <-chan struct{}, bound time.Duration) (told float64, said string, took time.Duration, err error) {
	if n < 1 {
		return 0, "", 0, fmt.Errorf("a drain of %d clients tells nothing: there must be at least one", n)
	}
	clients, err := dialAll(ctx, addr, n)
	defer func() {
		for _, c := range clients {
			_ = c.RST() // all that is measured has been read
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
		return 0, "", 0, fmt.Errorf("telling the server to end: %w", err)
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
	heard := 0
	for i, c := range clients {
		if !c.closed.IsZero() {
			heard++
		} else if !over[i] {
			c.said = "no close frame, TCP open"
		}
	}
	if said = tally(clients); took == 0 {
		said += fmt.Sprintf("; the server still ran after %v", bound)
	}
	return float64(heard) / float64(n), said, took, nil
}

// dialAll returns n clients, or as many as there are and an error.
func dialAll(ctx context.Context, addr string, n int) ([]*client, error) {
	var (
		clients []*client
		err     error
		mu      sync.Mutex
		dialing sync.WaitGroup
	)
	places := make(chan struct{}, 32)
	for range n {
		places <- struct{}{}
		dialing.Go(func() {
			c, dialErr := dial(ctx, addr)
			<-places
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

// tally says what was heard, and by how many, most of them first, where
// they did not all hear the same.
func tally(clients []*client) string {
	var order []string
	counts := make(map[string]int)
	for _, c := range clients {
		if counts[c.said]++; counts[c.said] == 1 {
			order = append(order, c.said)
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
