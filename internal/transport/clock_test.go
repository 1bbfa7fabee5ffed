package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
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
