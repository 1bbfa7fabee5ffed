package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
)

// TestWriteTimeout has a peer that pauses before each byte that it reads.
func TestWriteTimeout(t *testing.T) {
	for _, test := range []struct {
		name  string
		pause time.Duration
		reads int
		want  time.Duration // until the write ends
		ok    bool
	}{
		{"all at once", 0, 5, 0, true},
		{"progress", 6 * time.Second, 5, 30 * time.Second, true},
		{"none", time.Hour, 0, 10 * time.Second, false},
		// Only the end of a plain write shows progress.
		{"none any more", 6 * time.Second, 3, 30 * time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				o := options()
				o.WriteTimeout = 10 * time.Second
				c := New(server, nil, o)
				ws := accept(t, c)
				start := time.Now()
				go func() {
					for range test.reads {
						time.Sleep(test.pause)
						_, _ = client.Read(make([]byte, 1))
					}
				}()
				read := make(chan error, 1)
				go func() {
					_, err := message(ws)
					read <- err
				}()
				err := ws.Write(context.Background(), websocket.MessageText, []byte("abc"))
				if got := time.Since(start); got != test.want || (err == nil) != test.ok {
					t.Errorf("got %v after %v, want ok %v after %v", err, got, test.ok, test.want)
				}
				if test.ok {
					c.Fail(&ending.Error{Kind: ending.Closed})
				} else if e := new(ending.Error); !errors.As(err, &e) || e.Kind != ending.WriteStalled {
					t.Errorf("got %v, want a stalled write", err)
				}
				if got, want := kindOf(<-read), kindOf(c.Err()); got != want || !test.ok && got != ending.WriteStalled {
					t.Errorf("got read %v, want %v", got, want)
				}
				if got := time.Since(start); got != test.want {
					t.Errorf("the read ended after %v, want %v", got, test.want)
				}
				_ = ws.CloseNow()
				c.Hangup()
				client.Close()
			})
		})
	}
}

// TestWriteStallRaw checks the write timeout of the raw path in real time.
func TestWriteStallRaw(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"tcp", "tls"} {
		t.Run(kind, func(t *testing.T) {
			server, client := over(t, kind)
			shrink(client)
			o := options()
			o.WriteTimeout = 300 * time.Millisecond
			c := New(server, nil, o)
			read := make(chan error, 1)
			go func() {
				_, err := c.Read(make([]byte, 1))
				read <- err
			}()
			written := make(chan error, 1)
			start := time.Now()
			go func() { written <- fill(c) }()
			eventually(t, "the write waits, or has failed", func() bool { return c.Writing() || c.Err() != nil })
			if n := c.Unsent(); n <= int(c.out.unsent.Load()) && socket.HaveQueue {
				t.Errorf("got %d unsent, want more than the %d pending", n, c.out.unsent.Load())
			}
			err := within(t, written)
			took := time.Since(start)
			if kindOf(err) != ending.WriteStalled || kindOf(within(t, read)) != ending.WriteStalled || kindOf(c.Err()) != ending.WriteStalled {
				t.Errorf("got %v, %v, want a stalled write", err, c.Err())
			}
			if took < 300*time.Millisecond {
				t.Errorf("it took %v only", took)
			}
			if c.Writing() {
				t.Error("still writing")
			}
			c.Hangup()
		})
	}
}

// TestSlowPeer has a peer that reads slowly. The kernel reports room only when a third of
// its buffer is free, which is after the write timeout. That is no stall, unless the peer
// reads less than the minimum rate. One read in each write timeout exceeds the low rate, also
// if a busy machine delays the others.
func TestSlowPeer(t *testing.T) {
	t.Parallel()
	if !socket.HaveQueue {
		t.Skip("the size of the kernel's send queue is not known here")
	}
	for _, kind := range []string{"tcp", "tls"} {
		for _, rate := range []int64{0, 20_000, 4_000_000} {
			t.Run(fmt.Sprintf("%s/%d", kind, rate), func(t *testing.T) {
				t.Parallel()
				for attempt := 1; !readSlowly(t, kind, rate); attempt++ {
					if attempt == 5 {
						t.Fatal("the machine is too slow")
					}
				}
			})
		}
	}
}

// readSlowly returns false if the machine was too slow: between two reads of the peer most of
// the write timeout has passed.
func readSlowly(t *testing.T, kind string, rate int64) bool {
	server, client := over(t, kind)
	o := options()
	o.WriteTimeout, o.MinWriteRate = 1800*time.Millisecond, rate
	c := New(server, nil, o)
	defer c.Hangup()
	written := make(chan error, 1)
	last := time.Now()
	go func() { written <- fill(c) }()
	eventually(t, "the write waits, or has failed", func() bool { return c.Writing() || c.Err() != nil })
	const enough = 660_000
	slow := false
	b := make([]byte, 100_000)
	for range 30 { // 3 MB in 4.5 s
		time.Sleep(150 * time.Millisecond)
		_, _ = io.ReadFull(beneath(client), b)
		now := time.Now()
		slow = slow || now.Sub(last) > o.WriteTimeout/2
		last = now
		select {
		case err := <-written:
			if slow && rate < enough {
				client.Close()
				return false
			}
			if rate < enough || kindOf(err) != ending.WriteStalled {
				t.Fatalf("got %v though the peer reads", err)
			}
			return true
		default:
		}
	}
	if rate > enough {
		t.Fatal("the write continues though the peer reads less than the rate")
	}
	if err := within(t, written); kindOf(err) != ending.WriteStalled {
		t.Errorf("got %v, want a stalled write when it reads no more", err)
	}
	return true
}

// TestMinWriteRate has a peer that reads some bytes every second. A write must make
// progress of 80 bytes in each ten seconds, or it ends.
func TestMinWriteRate(t *testing.T) {
	for _, test := range []struct {
		name    string
		rate    int64
		size    int // of the frame
		reads   func(second int) int
		want    time.Duration // until the write ends
		stalled bool
	}{
		{"faster", 8, 500, func(int) int { return 9 }, 56 * time.Second, false},
		{"slower", 8, 500, func(int) int { return 7 }, 10 * time.Second, true},
		{"slower, but it ends", 20, 135, func(int) int { return 15 }, 9 * time.Second, false},
		{"slower later", 8, 500, func(s int) int { return 9 - 4*(s/20) }, 30 * time.Second, true},
		{"much at first", 8, 500, func(s int) int { return max(1, 300-299*s) }, 20 * time.Second, true},
		{"off", 0, 130, func(int) int { return 1 }, 130 * time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				o := options()
				o.WriteTimeout, o.MinWriteRate = 10*time.Second, test.rate
				c := New(server, nil, o)
				ws := accept(t, c)
				start := time.Now()
				var reader sync.WaitGroup
				reader.Go(func() {
					for s := 0; ; s++ {
						time.Sleep(time.Second)
						if _, err := io.ReadFull(client, make([]byte, test.reads(s))); err != nil {
							return
						}
					}
				})
				f := frame.Header{First: frame.Fin | frame.Binary, Length: uint64(test.size - 4)}.Append(nil, 0)
				_, err := c.Write(append(f, make([]byte, test.size-len(f))...))
				if got := time.Since(start); got != test.want || (err != nil) != test.stalled {
					t.Errorf("got %v after %v, want stalled %v after %v", err, got, test.stalled, test.want)
				}
				if test.stalled && kindOf(c.Err()) != ending.WriteStalled {
					t.Errorf("got %v, want a stalled write", c.Err())
				}
				c.Abort()
				_ = ws.CloseNow()
				c.Hangup()
				client.Close()
				reader.Wait()
			})
		})
	}
}

// TestMinWriteRateInPieces checks the rate of a frame that is written in pieces. The time
// between two pieces does not count.
func TestMinWriteRateInPieces(t *testing.T) {
	for _, rate := range []int64{0, 80} {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			o := options()
			o.WriteTimeout, o.MinWriteRate = 10*time.Second, rate
			c := New(server, nil, o)
			var reader sync.WaitGroup
			reader.Go(func() {
				for b := make([]byte, len(c.opts.Write.get().b)); ; { // each write waits for 6 s
					time.Sleep(6 * time.Second)
					if _, err := io.ReadFull(client, b); err != nil {
						return
					}
				}
			})
			_, err := c.Write([]byte("\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x00"))
			pieces := 0
			for b := make([]byte, 100); err == nil && pieces < 100; pieces++ {
				_, err = c.Write(b)
			}
			// Pieces of about 540 bytes need 6 seconds: 800 bytes need more than 10.
			if (err != nil) != (rate > 0) || rate > 0 && pieces > 12 {
				t.Errorf("rate %d: got %v after %d pieces", rate, err, pieces)
			}
			c.Abort()
			c.Hangup()
			client.Close()
			reader.Wait()
		})
	}
}

// shrink makes the kernel's buffers small.
func shrink(client net.Conn) {
	if t, ok := client.(interface{ NetConn() net.Conn }); ok {
		client = t.NetConn()
	}
	_ = client.(*net.TCPConn).SetReadBuffer(4096)
}

// fill writes one endless frame until a write fails.
func fill(c *Conn) error {
	if _, err := c.Write([]byte("\x82\x7f\x00\xff\xff\xff\xff\xff\xff\xff")); err != nil {
		return err
	}
	b := make([]byte, 64<<10)
	for {
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
}
