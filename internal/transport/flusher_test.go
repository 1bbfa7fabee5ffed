package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/frame"
)

// TestTrust checks when replies are batched: after minPromptReads prompt reads in a row. The
// clock of the bubble stops unless all goroutines wait.
func TestTrust(t *testing.T) {
	for _, test := range []struct {
		name    string
		pauses  []time.Duration // after each reply
		flusher bool
		want    []string
	}{
		{"soon", make([]time.Duration, minPromptReads+5), true, []string{"read", "8 times write 3", "write 15", "wait"}},
		{"a pause", append(append(make([]time.Duration, minPromptReads-1), 51*time.Microsecond), make([]time.Duration, minPromptReads+3)...), true,
			[]string{"read", "16 times write 3", "write 9", "wait"}},
		{"just soon enough", append([]time.Duration{50 * time.Microsecond}, make([]time.Duration, minPromptReads+1)...), true,
			[]string{"read", "8 times write 3", "write 6", "wait"}},
		{"no Flusher", make([]time.Duration, minPromptReads+5), false, []string{"read", "13 times write 3", "wait"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder(bytes.Repeat(text("x"), len(test.pauses)))
				o := options()
				if test.flusher {
					o.Flusher = new(Flusher)
				}
				c := New(r, nil, o)
				ws := accept(t, c)
				done := make(chan bool)
				go func() {
					defer close(done)
					for i := 0; ; i++ {
						if _, err := message(ws); err != nil {
							return
						}
						_ = ws.Write(context.Background(), websocket.MessageText, []byte("x"))
						time.Sleep(test.pauses[i])
					}
				}()
				<-r.parked
				if got := compact(r.seen()); fmt.Sprint(got) != fmt.Sprint(test.want) {
					t.Errorf("got %v, want %v", got, test.want)
				}
				c.Abort()
				<-done
				_ = ws.CloseNow()
				c.base = nopCloser{r}
				c.Hangup()
			})
		})
	}
}

// compact replaces equal neighbours by one.
func compact(log []string) (out []string) {
	for i := 0; i < len(log); {
		n := 1
		for i+n < len(log) && log[i+n] == log[i] {
			n++
		}
		if n == 1 {
			out = append(out, log[i])
		} else {
			out = append(out, fmt.Sprintf("%d times %s", n, log[i]))
		}
		i += n
	}
	return out
}

// TestFlusher checks a handler that becomes slow in the middle of a batch. Its reply waits
// for one interval of the Flusher, and later replies are not batched.
func TestFlusher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(bytes.Repeat(text("x"), 4))
		c := trusted(r, nil, options(), false)
		ws := accept(t, c)
		reply := func(want ...string) {
			t.Helper()
			if _, err := message(ws); err != nil {
				t.Fatal(err)
			}
			if err := ws.Write(context.Background(), websocket.MessageText, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if got := compact(r.seen()); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		reply("read")
		reply("read") // two replies wait
		time.Sleep(flushInterval - time.Nanosecond)
		early := fmt.Sprint(r.seen())
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		if got := fmt.Sprint(r.seen()); early != "[read]" || got != "[read write 6]" {
			t.Errorf("got %v before an interval has passed and %v after it, want the replies sent then", early, got)
		}
		reply("read", "write 6", "write 3")
		f := c.opts.Flusher
		f.mu.Lock()
		if len(f.outputs) > 0 || f.timer.Stop() {
			t.Errorf("the timer is armed, %d listed, and nothing waits", len(f.outputs))
		}
		f.mu.Unlock()
		c.Abort()
		_ = ws.CloseNow()
		c.base = nopCloser{r}
		c.Hangup()
	})
}

// TestFlusherBesideWrite checks that the Flusher does not wait for a writer, and sends the
// batch after that writer.
func TestFlusherBesideWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(bytes.Repeat(text("x"), 2))
		c := trusted(r, nil, options(), false)
		ws := accept(t, c)
		if _, err := message(ws); err != nil {
			t.Fatal(err)
		}
		if err := ws.Write(context.Background(), websocket.MessageText, []byte("x")); err != nil {
			t.Fatal(err)
		}
		c.out.mu.Lock()
		time.Sleep(10 * flushInterval)
		if got := r.seen(); fmt.Sprint(got) != "[read]" {
			t.Errorf("beside a writer: got %v, want nothing sent", got)
		}
		c.out.mu.Unlock()
		time.Sleep(2*flushInterval + time.Nanosecond)
		synctest.Wait()
		if got := r.seen(); fmt.Sprint(got) != "[read write 3]" {
			t.Errorf("after it: got %v, want the reply sent", got)
		}
		c.Abort()
		_ = ws.CloseNow()
		c.base = nopCloser{r}
		c.Hangup()
	})
}

// TestFlusherRaces has many connections with one Flusher. Their handlers sometimes pause
// until the peer has all replies so far, which only the Flusher can send.
func TestFlusherRaces(t *testing.T) {
	f := new(Flusher)
	var all sync.WaitGroup
	for _, kind := range []string{"tcp", "tls", "tcp", "tls"} {
		server, client := over(t, kind)
		o := options()
		o.Flusher = f
		c := New(server, nil, o)
		ws := accept(t, c)
		const n = 2000
		var got, want int
		arrived := make(chan int, n)
		all.Go(func() {
			defer client.Close()
			if _, err := client.Write(bytes.Repeat(text("x"), n)); err != nil {
				t.Error(err)
			}
			b := make([]byte, 3)
			for i := range n {
				if _, err := io.ReadFull(client, b); err != nil {
					t.Error(err)
					return
				}
				arrived <- i + 1
			}
		})
		all.Go(func() {
			defer c.Hangup()
			defer ws.CloseNow()
			for {
				if _, err := message(ws); err != nil {
					break
				}
				if err := ws.Write(context.Background(), websocket.MessageText, []byte("x")); err != nil {
					t.Error(err)
					break
				}
				for want++; want%(2*minPromptReads+3) == 0 && got < want; {
					got = within(t, arrived)
				}
			}
			if want != n {
				t.Errorf("got %d messages, want %d", want, n)
			}
		})
	}
	all.Wait()
}

// TestPingNotBatched checks that a ping does not wait, and is sent after earlier replies.
func TestPingNotBatched(t *testing.T) {
	r := newRecorder(cat(text("a"), text("b")))
	c := trusted(r, nil, options(), true)
	ws := accept(t, c)
	if _, err := message(ws); err != nil {
		t.Fatal(err)
	}
	if err := ws.Write(context.Background(), websocket.MessageText, []byte("a")); err != nil {
		t.Fatal(err)
	}
	c.Ping([]byte("p"))
	// A goroutine sends it, because it is not known whether a write to r would wait.
	eventually(t, "the ping has been sent", func() bool { return !c.PingSent().IsZero() })
	if got := string(bytes.Join(r.writes, nil)); got != "\x81\x01a\x89\x01p" {
		t.Errorf("got %q, want the reply and the ping", got)
	}
	c.Abort()
	_ = ws.CloseNow()
	c.base = nopCloser{r}
	c.Hangup()
}

// TestBatchAtEnd checks that waiting replies are sent before the connection is closed.
func TestBatchAtEnd(t *testing.T) {
	for _, kind := range []string{"tcp", "tls"} {
		for _, end := range []string{"Abort", "Close"} {
			t.Run(kind+"/"+end, func(t *testing.T) {
				for attempt := 1; !endBatched(t, kind, end); attempt++ {
					if attempt == manyAttempts {
						t.Fatal("a write of two replies times out")
					}
				}
			})
		}
	}
}

// endBatched returns false if the machine was too slow to send the batch in time.
func endBatched(t *testing.T, kind, end string) bool {
	server, client := over(t, kind)
	c := trusted(server, cat(text("a"), text("b"), text("c")), options(), true)
	ws := accept(t, c)
	for _, want := range []string{"a", "b"} {
		if got, err := message(ws); err != nil || string(got) != want {
			t.Fatalf("got %q, %v", got, err)
		}
		if err := ws.Write(context.Background(), websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
	}
	all := drained(client)
	if end == "Abort" {
		c.Abort()
	}
	_ = ws.CloseNow()
	if c.closing() {
		t.Error("the batch shortens the wait of Hangup, and input in transit resets the connection")
	}
	c.Hangup()
	got := decoded(t, within(t, all))
	if timedOut(c) {
		return false
	}
	if len(got) != 2 || string(got[0].Payload) != "a" || string(got[1].Payload) != "b" || got[1].Opcode != frame.Text {
		t.Errorf("got %v, want both replies", got)
	}
	if _, out := c.Counts(); out != (frame.ByType{{Messages: 2, Bytes: 2}}) {
		t.Errorf("got %+v out, want 2 text messages of 2 bytes", out)
	}
	return true
}
