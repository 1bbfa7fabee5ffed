package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/semaphore"
)

// A lineTest runs a delayLine and records what it sends.
type lineTest struct {
	*delayLine
	start time.Time
	sent  []string // "text@time"
	fail  error    // of send
	ended chan struct{}
}

func newLineTest(t *testing.T, p plan, memory int64) *lineTest {
	lt := &lineTest{start: time.Now(), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	lt.delayLine = newDelayLine(ctx, &p, semaphore.NewWeighted(memory), func(_ websocket.MessageType, p []byte) error {
		lt.sent = append(lt.sent, fmt.Sprintf("%.5s@%v", p, time.Since(lt.start)))
		return lt.fail
	})
	go func() {
		defer close(lt.ended)
		lt.run()
	}()
	t.Cleanup(func() {
		cancel()
		<-lt.ended
		lt.end()
		if !lt.memory.TryAcquire(memory) {
			t.Error("messages of the line still have memory")
		}
	})
	return lt
}

// TestDelayLine: messages wait together, in their order, and write copies them.
func TestDelayLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLineTest(t, plan{delay: time.Second}, delayedMemory)
		p := []byte("a")
		for ; p[0] <= 'c'; p[0]++ {
			if err := l.write(1, p); err != nil || time.Since(l.start) > 200*time.Millisecond {
				t.Errorf("got %v after %v", err, time.Since(l.start))
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got, want := strings.Join(l.sent, " "), "a@1s b@1.1s c@1.2s"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// TestDelayJitter: the delay varies by the jitter, and no message overtakes another.
func TestDelayJitter(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			l := newLineTest(t, plan{delay: delay, jitter: 100 * time.Millisecond}, delayedMemory)
			before, least, most := l.last, time.Hour, time.Duration(0)
			for range 1000 {
				due := l.due()
				if due.Before(before) {
					t.Fatalf("a message is due at %v, and the one before at %v", due, before)
				}
				before, least, most = due, min(least, time.Until(due)), max(most, time.Until(due))
				time.Sleep(time.Second)
			}
			if least < delay-100*time.Millisecond || most > delay+100*time.Millisecond || most-least < 150*time.Millisecond {
				t.Errorf("got delays from %v to %v", least, most)
			}
			start := time.Now()
			for range 1000 {
				l.due()
			}
			if d := l.last.Sub(start); d > delay+100*time.Millisecond {
				t.Errorf("messages of one moment are due up to %v later", d)
			}
		})
	}
}

// TestDelayBounds: write waits if too many messages or bytes wait already, and if there is
// no memory. A message that is too large waits until the others are sent.
func TestDelayBounds(t *testing.T) {
	big := bytes.Repeat([]byte("B"), delayedBytes+1)
	half := bytes.Repeat([]byte("H"), delayedBytes/2+1)
	for name, tt := range map[string]struct {
		memory int64
		before int
		sized  []byte // before, and then one of last
		last   []byte
		blocks bool
	}{
		"room":              {delayedMemory, delayedMessages, []byte("x"), []byte("y"), false},
		"count":             {delayedMemory, delayedMessages + 1, []byte("x"), []byte("y"), true}, // run has taken one
		"empty":             {delayedMemory, delayedMessages + 1, nil, nil, true},
		"bytes":             {delayedMemory, 1, half, half, true},
		"large":             {delayedMemory, 1, []byte("x"), big, true},
		"large after empty": {delayedMemory, 1, nil, big, true},
		"large alone":       {delayedMemory, 0, nil, big, true},
		"memory":            {10, 10, []byte("x"), []byte("y"), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLineTest(t, plan{delay: time.Minute}, tt.memory)
				for range tt.before {
					if err := l.write(1, tt.sized); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				if time.Since(l.start) != 0 {
					t.Fatalf("the first %d writes took %v", tt.before, time.Since(l.start))
				}
				if err := l.write(1, tt.last); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(l.start); took != 0 != tt.blocks || took > time.Minute {
					t.Errorf("the last write took %v", took)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if want := fmt.Sprintf("%.5s@1m0s", tt.last); len(l.sent) != tt.before+1 || l.sent[tt.before] != want {
					t.Errorf("got %q, want %d and the last %s", l.sent, tt.before+1, want)
				}
			})
		})
	}
}

// TestDelayEnd: the end of the connection, or an error, ends each write and forgets the rest.
func TestDelayEnd(t *testing.T) {
	failed := errors.New("failed")
	for name, p := range map[string][]byte{"small": []byte("x"), "large": make([]byte, delayedBytes+1)} {
		for _, fails := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, fails), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newLineTest(t, plan{delay: time.Minute}, delayedMemory)
					l.fail = failed
					want := error(failed)
					if !fails {
						l.delay, want = time.Hour, context.Canceled
						time.AfterFunc(time.Minute, func() { l.cancel(nil) })
					}
					for err := error(nil); err != want; err = l.write(1, p) {
						if err != nil {
							t.Fatalf("got %v, want %v", err, want)
						}
					}
					if took := time.Since(l.start); took != time.Minute {
						t.Errorf("the writes ended after %v", took)
					}
					if err := l.write(1, p); err == nil || len(l.sent) > 1 {
						t.Errorf("got %v, %q", err, l.sent)
					}
				})
			})
		}
	}
}
