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
	// floor is what a thread may wait for a processor though nobody attacks.
	floor = time.Millisecond
	// most is the memory that all attackers together may make the server take.
	most = 96 << 20
	// heapSlack is what the heap of a process differs by when nothing has happened.
	heapSlack = 4 << 20
	// nextTime is how long a new client may wait when the attackers have left.
	nextTime = time.Second
	// busyDelay is what a busy machine may add to a time.
	busyDelay = 5 * time.Second
)

// A force is what an attack did.
type force struct {
	conns         int     // of the attackers, at once
	quiet, beside latency // of the good client, alone and beside it
	spared        latency // of the other server's client, meanwhile
	base          held
	peak          int64         // of resident memory
	next          time.Duration // until a new client was served, afterwards
	after         held
	over          time.Duration // until nothing was left, since the attackers were gone
}

// A latency is that of messages on a connection that is there, and of new
// connections with a message each: all but the slowest hundredth.
type latency struct{ message, connect time.Duration }

func (l latency) String() string {
	return fmt.Sprintf("%.1f, %.1f ms", 1e3*l.message.Seconds(), 1e3*l.connect.Seconds())
}

func (f force) String() string {
	return fmt.Sprintf("p99 of a message and of a connection %v, alone %v, of the other server %v; memory %d MiB over %d; afterwards the next client waited %v, and nothing was left after %v: %v, before %v",
		f.beside, f.quiet, f.spared, (f.peak-f.base.RSS)>>20, f.base.RSS>>20, f.next.Round(time.Millisecond), f.over.Round(time.Millisecond), f.after, f.base)
}

// judge says what is wrong, if anything is.
func (f force) judge() string {
	switch {
	case f.beside.message > 5*max(floor, f.quiet.message, f.spared.message):
		return "a good client's messages were held up"
	case f.beside.connect > 5*max(floor, f.quiet.connect, f.spared.connect):
		return "new connections were held up"
	case f.peak > f.base.RSS+most:
		return "it took too much memory"
	case f.next > nextTime:
		return "the next client was held up"
	case f.over > hostile.FoundOut+busyDelay:
		return "it was found out late"
	}
	return f.left()
}

// left says what is left, if anything is.
func (f force) left() string {
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

// look is a good client for a while: a message now and then, and a new connection.
func look(t *testing.T, s *target, good *wstest.Peer, d time.Duration, connect bool) latency {
	t.Helper()
	var messages, connects []time.Duration
	for start := time.Now(); time.Since(start) < d; time.Sleep(5 * time.Millisecond) {
		began := time.Now()
		if err := trip(good); err != nil {
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
		err = trip(peer)
		connects = append(connects, time.Since(began))
		peer.Close()
		if err != nil {
			t.Errorf("a new client: %v", err)
			break
		}
	}
	return latency{p99(messages), p99(connects)}
}

// attend is a good client that is not looked at: it is there, and answers pings.
func attend(t *testing.T, good *wstest.Peer) (leave func()) {
	over := make(chan struct{})
	var attending sync.WaitGroup
	attending.Go(func() {
		for {
			if err := trip(good); err != nil {
				t.Errorf("the good client: %v", err)
				return
			}
			select {
			case <-over:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return sync.OnceFunc(func() {
		close(over)
		attending.Wait()
	})
}

// trip sends a message and takes its echo.
func trip(peer *wstest.Peer) error {
	const text = "hello"
	if err := peer.Send(wstest.TextFrame(text)); err != nil {
		return err
	}
	_, got, err := peer.RecvMessage()
	if err == nil && string(got) != text {
		err = fmt.Errorf("%q came back as %q", text, got)
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
