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

// TestMessageTimeout sends parts of messages, one every three seconds, with a message
// timeout of ten seconds.
func TestMessageTimeout(t *testing.T) {
	m := text("hello, world")
	var drip [][]byte
	for i := range m {
		drip = append(drip, m[i:i+1])
	}
	ping := masked(frame.Fin|frame.Ping, []byte("ping, ping"))
	var dripped [][]byte
	for i := range ping {
		dripped = append(dripped, ping[i:i+1])
	}
	part := masked(frame.Text, []byte("a"))
	for _, test := range []struct {
		name  string
		parts [][]byte
		want  time.Duration // until the read fails
		kind  ending.Kind
	}{
		{"between messages", [][]byte{nil, m, nil, nil, nil, nil, nil, m, nil, nil, nil}, 33 * time.Second, ending.Abnormal},
		{"one byte", [][]byte{m[:1]}, 10 * time.Second, ending.TooSlow},
		{"header", [][]byte{m[:6]}, 10 * time.Second, ending.TooSlow},
		{"dripped", drip, 10 * time.Second, ending.TooSlow},
		{"dripped after another", append([][]byte{m}, drip...), 13 * time.Second, ending.TooSlow},
		{"dripped behind another", append([][]byte{cat(m, m[:1])}, drip[1:]...), 10 * time.Second, ending.TooSlow},
		{"dripped ping", dripped, 10 * time.Second, ending.TooSlow},
		{"fragments", [][]byte{part, masked(0, nil), masked(0, nil), masked(0, nil), masked(0, nil)}, 10 * time.Second, ending.TooSlow},
		{"pings between", [][]byte{part, ping, ping, ping, ping}, 10 * time.Second, ending.TooSlow},
		{"just in time", [][]byte{part, nil, nil, masked(frame.Fin, nil), part, nil, nil, masked(frame.Fin, nil)}, 24 * time.Second, ending.Abnormal},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				o := options()
				o.MessageTimeout = 10 * time.Second
				c := New(server, nil, o)
				ws := accept(t, c)
				start := time.Now()
				go io.Copy(io.Discard, client)
				sent := make(chan bool)
				go func() {
					defer close(sent)
					for _, p := range test.parts {
						if p != nil {
							if _, err := client.Write(p); err != nil {
								return
							}
						}
						time.Sleep(3 * time.Second)
					}
					if test.kind == ending.Abnormal {
						client.Close()
					}
				}()
				err := echo(ws)
				if got := time.Since(start); got != test.want || kindOf(err) != test.kind {
					t.Errorf("got %v after %v, want %v after %v", err, got, test.kind, test.want)
				}
				if c.ReadingSince() != (time.Time{}) {
					t.Error("still reading")
				}
				_ = ws.CloseNow()
				c.Hangup()
				client.Close()
				<-sent
			})
		})
	}
}

// TestSlowHandler has a handler that is slower than the message timeout for input that has
// arrived. That is no fault of the peer.
func TestSlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		o := options()
		o.MessageTimeout = 10 * time.Second
		c := New(server, nil, o)
		ws := accept(t, c)
		go func() {
			_, _ = client.Write(masked(frame.Text, []byte("a")))
			_, _ = client.Write(masked(frame.Fin, []byte("b")))
		}()
		_, r, err := ws.Reader(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got, err := io.ReadAll(r); err != nil || string(got) != "ab" {
			t.Errorf("got %q, %v, want ab", got, err)
		}
		c.Abort()
		_ = ws.CloseNow()
		c.Hangup()
		client.Close()
	})
}

func TestCloseBy(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name   string
		set    []time.Duration // one call of CloseBy per second
		inside bool            // a message has begun
		want   time.Duration
		kind   ending.Kind
	}{
		{"parked read", []time.Duration{5 * s}, false, 5 * s, ending.Closed},
		{"brought forward", []time.Duration{8 * s, 4 * s}, false, 4 * s, ending.Closed},
		{"not put off", []time.Duration{5 * s, 9 * s}, false, 5 * s, ending.Closed},
		{"past", []time.Duration{-s}, false, 0, ending.Closed},
		{"before the message timeout", []time.Duration{5 * s}, true, 5 * s, ending.Closed},
		{"after the message timeout", []time.Duration{20 * s}, true, 10 * s, ending.TooSlow},
	} {
		t.Run("read/"+test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				o := options()
				o.MessageTimeout = 10 * s
				c := New(server, nil, o)
				start := time.Now()
				go func() {
					if test.inside {
						_, _ = client.Write(text("a")[:3])
					}
					for _, d := range test.set {
						synctest.Wait()
						c.CloseBy(start.Add(d))
						time.Sleep(s)
					}
				}()
				_, err := c.Read(make([]byte, 100))
				if got := time.Since(start); got != test.want || kindOf(err) != test.kind {
					t.Errorf("got %v after %v, want %v after %v", err, got, test.kind, test.want)
				}
				_, again := c.Read(make([]byte, 100))
				if again != err {
					t.Errorf("got %v after %v, want the same", again, err)
				}
				time.Sleep(2 * s)
				c.Hangup()
				client.Close()
			})
		})
	}
	for _, test := range []struct {
		name   string
		set    []time.Duration
		closed bool // coder closes after the first part
		want   time.Duration
	}{
		{"stalled write", []time.Duration{5 * s}, false, 5 * s},
		{"brought forward", []time.Duration{8 * s, 4 * s}, false, 4 * s},
		{"not put off", []time.Duration{5 * s, 9 * s}, false, 5 * s},
		{"after the write timeout", []time.Duration{20 * s}, false, 10 * s},
		{"after a close", []time.Duration{20 * s, 9 * s}, true, 0},
	} {
		t.Run("write/"+test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				o := options()
				o.WriteTimeout = 10 * s
				c := New(server, nil, o)
				start := time.Now()
				go func() {
					for _, d := range test.set {
						synctest.Wait()
						c.CloseBy(start.Add(d))
						if test.closed {
							_ = c.Close()
							c.CloseBy(start.Add(d / 2))
						}
						time.Sleep(s)
					}
				}()
				_, err := c.Write([]byte("\x81\x01a"))
				if got := time.Since(start); got != test.want || err == nil {
					t.Errorf("got %v after %v, want an error after %v", err, got, test.want)
				}
				time.Sleep(2 * s)
				c.Hangup()
				client.Close()
			})
		})
	}
}

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

// TestFail checks that fail wakes a waiting read, and that input before it is read first.
func TestFail(t *testing.T) {
	for _, kind := range []string{"tcp", "tls", "pipe"} {
		server, client := over(t, kind)
		c := New(server, text("a"), options())
		reason := errors.New("reason")
		read := make(chan error, 1)
		var got []byte
		go func() {
			var err error
			got, err = io.ReadAll(c)
			read <- err
		}()
		eventually(t, "a read waits", func() bool { return !c.ReadingSince().IsZero() })
		c.Fail(reason)
		c.Fail(errors.New("another"))
		if err := within(t, read); err != reason || frames(t, got) != "1:a" {
			t.Errorf("%s: got %q, %v, want the message and the reason", kind, got, err)
		}
		if !c.ReadingSince().IsZero() || c.Err() != reason {
			t.Errorf("%s: got %v, reading %v", kind, c.Err(), c.ReadingSince())
		}
		_ = c.Close()
		if _, err := c.Write([]byte("\x81\x01a")); err == nil {
			t.Errorf("%s: a write after Close succeeded", kind)
		}
		client.Close()
		c.Hangup()
	}
}

// TestWakes closes or fails a Conn at the moment when a read begins to wait. The read must
// always return.
func TestWakes(t *testing.T) {
	for _, kind := range kinds {
		server, client := over(t, kind)
		done := make(chan error, 1)
		for i := range 200 {
			c := New(server, nil, Options{Read: NewPool(0), Write: NewPool(0), MessageTimeout: time.Hour})
			_ = server.SetDeadline(time.Time{})
			go func() {
				_, err := c.Read(make([]byte, 1))
				done <- err
			}()
			for range i % 50 {
				_ = c.now()
			}
			go c.CloseBy(time.Now().Add(time.Hour))
			switch i % 3 {
			case 0:
				c.Fail(net.ErrClosed)
			case 1:
				_ = c.Close()
			case 2:
				c.CloseBy(time.Now())
			}
			if err := within(t, done); !errors.Is(err, net.ErrClosed) {
				t.Fatalf("%s: got %v, want closed", kind, err)
			}
		}
		client.Close()
	}
}

// TestWriteStallRaw checks the write timeout of the raw path in real time.
func TestWriteStallRaw(t *testing.T) {
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
			eventually(t, "the write is stuck", c.Writing)
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
// reads less than the minimum rate.
func TestSlowPeer(t *testing.T) {
	if !socket.HaveQueue {
		t.Skip("the size of the kernel's send queue is not known here")
	}
	for _, kind := range []string{"tcp", "tls"} {
		for _, rate := range []int64{0, 60_000, 4_000_000} {
			t.Run(fmt.Sprintf("%s/%d", kind, rate), func(t *testing.T) {
				t.Parallel()
				server, client := over(t, kind)
				o := options()
				o.WriteTimeout, o.MinWriteRate = 1800*time.Millisecond, rate
				c := New(server, nil, o)
				defer c.Hangup()
				written := make(chan error, 1)
				go func() { written <- fill(c) }()
				eventually(t, "the write is stuck", c.Writing)
				beneath := client
				if kind == "tls" {
					beneath = client.(interface{ NetConn() net.Conn }).NetConn()
				}
				const enough = 660_000
				b := make([]byte, 100_000)
				for range 30 { // 3 MB in 4.5 s
					time.Sleep(150 * time.Millisecond)
					_, _ = io.ReadFull(beneath, b)
					select {
					case err := <-written:
						if rate < enough || kindOf(err) != ending.WriteStalled {
							t.Fatalf("got %v though the peer reads", err)
						}
						return
					default:
					}
				}
				if rate > enough {
					t.Fatal("the write goes on though the peer reads less than the rate")
				}
				if err := within(t, written); kindOf(err) != ending.WriteStalled {
					t.Errorf("got %v, want a stalled write when it reads no more", err)
				}
			})
		}
	}
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
