package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/internal/hostile"
	"example.com/wsecho/wstest"
)

const (
	// minLatency is the time that a thread may wait for a processor without an attack.
	minLatency = time.Millisecond
	// most is the memory that all attackers together may make the server use.
	most = 96 << 20
	// heapSlack is the difference between two measurements of an idle heap.
	heapSlack = 4 << 20
	// nextTime is the time that a new client may wait after the attack.
	nextTime = time.Second
	// busyDelay is the time that a busy machine may add to a measurement.
	busyDelay = 5 * time.Second
)

// A measurement is the result of one attack.
type measurement struct {
	conns         int     // concurrent connections of the attackers
	quiet, beside latency // of the good client, without and during the attack
	untouched     latency // of the other server's client, during the attack
	base          resources
	peak          int64         // resident memory
	next          time.Duration // from the end of the attack until a new client was served
	after         resources
	released      time.Duration // from the end of the attack until all resources were released
}

// A latency has the p99 of messages on an open connection, and that of new connections
// with one message each.
type latency struct{ message, connect time.Duration }

func (l latency) String() string {
	return fmt.Sprintf("%.1f, %.1f ms", 1e3*l.message.Seconds(), 1e3*l.connect.Seconds())
}

func (f measurement) String() string {
	return fmt.Sprintf("p99 of a message and of a connection %v, without the attack %v, of the other server %v; memory %d MiB over %d; after the attack a new client waited %v, and the resources were released after %v: %v, before %v",
		f.beside, f.quiet, f.untouched, (f.peak-f.base.RSS)>>20, f.base.RSS>>20, f.next.Round(time.Millisecond), f.released.Round(time.Millisecond), f.after, f.base)
}

// violations returns the limits that the attack violated.
func (f measurement) violations() (limits []string) {
	check := func(violated bool, limit string) {
		if violated {
			limits = append(limits, limit)
		}
	}
	check(f.beside.message > 5*max(minLatency, f.quiet.message, f.untouched.message), "the attack delayed the messages of a good client")
	check(f.beside.connect > 5*max(minLatency, f.quiet.connect, f.untouched.connect), "the attack delayed new connections")
	check(f.peak > f.base.RSS+most, "the server used too much memory")
	check(f.next > nextTime, "a new client waited too long after the attack")
	check(f.released > hostile.DetectionTime+busyDelay, "the server released the resources too late")
	if left := f.leftover(); left != "" {
		limits = append(limits, left)
	}
	return limits
}

// leftover returns the kind of resource that the attack left behind, or "".
func (f measurement) leftover() string {
	switch {
	case f.after.Files > f.base.Files:
		return "descriptors are left"
	case f.after.Goroutines > f.base.Goroutines:
		return "goroutines are left"
	case f.after.Heap > f.base.Heap+heapSlack:
		return "memory is left in the heap"
	case f.after.RSS > f.base.RSS+most:
		return "memory is left"
	}
	return ""
}

// measure measures a good client that sends messages and opens new connections.
func measure(t *testing.T, s *target, good *wstest.Peer, d time.Duration, connect bool) latency {
	t.Helper()
	var messages, connects []time.Duration
	for start := time.Now(); time.Since(start) < d; time.Sleep(5 * time.Millisecond) {
		began := time.Now()
		if err := roundTrip(good); err != nil {
			t.Errorf("the good client: %v", err)
			break
		}
		messages = append(messages, time.Since(began))
		if !connect || len(messages)%4 != 0 {
			continue
		}
		began = time.Now()
		peer, err := s.dial()
		if err != nil {
			t.Errorf("a new client: %v", err)
			break
		}
		err = roundTrip(peer)
		connects = append(connects, time.Since(began))
		peer.Close()
		if err != nil {
			t.Errorf("a new client: %v", err)
			break
		}
	}
	return latency{p99(messages), p99(connects)}
}

// keepSending runs a good client without a measurement. The client sends messages and answers
// pings.
func keepSending(t *testing.T, good *wstest.Peer) (stop func()) {
	stopped := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			if err := roundTrip(good); err != nil {
				t.Errorf("the good client: %v", err)
				return
			}
			select {
			case <-stopped:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return sync.OnceFunc(func() {
		close(stopped)
		sending.Wait()
	})
}

// roundTrip sends a message and reads its echo.
func roundTrip(peer *wstest.Peer) error {
	const text = "hello"
	if err := peer.Send(wstest.TextFrame(text)); err != nil {
		return err
	}
	_, got, err := peer.RecvMessage()
	if err == nil && string(got) != text {
		err = fmt.Errorf("the echo of %q is %q", text, got)
	}
	return err
}

func p99(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)-1)*99/100]
}
