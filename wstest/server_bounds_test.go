package wstest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/wstest"
)

// TestPongs: coder's client waits for its pongs.
func TestPongs(t *testing.T) {
	for _, tt := range []struct {
		fault wstest.Fault
		pongs int // of three pings
	}{{wstest.NoPong(), 0}, {wstest.PongsThenNone(2), 2}, {wstest.PongsThenNone(3), 3}, {wstest.WrongPong(), 0}} {
		t.Run(tt.fault.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := wstest.NewPipeServer(t, tt.fault)
				c := coderClient(t, s)
				reading := c.CloseRead(context.Background())
				pongs := 0
				for range 3 {
					ctx, cancel := context.WithTimeout(reading, time.Minute)
					if c.Ping(ctx) == nil {
						pongs++
					}
					cancel()
				}
				if pongs != tt.pongs {
					t.Errorf("got %d pongs, want %d", pongs, tt.pongs)
				}
			})
		})
	}
}

// TestLatePongsHaveBound: 64 pongs wait, and the later pings get none.
func TestLatePongsHaveBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wstest.NewPipeServer(t, wstest.LatePong(time.Minute), wstest.DropFIN().AfterTime(time.Hour))
		p := raw(t, s)
		for range 100 {
			check(t, p.Send(wstest.PingFrame("x")))
		}
		if end, err := p.End(2 * time.Hour); err != nil || end.Frames != 64 {
			t.Errorf("got %v, %v", end, err)
		}
		check(t, p.Close())
		if r := next(t, s); r.Pings != 100 {
			t.Errorf("got %v", r)
		}
	})
}

// TestDelayQueue: delayed echoes wait together, so a delay is no rate. Over 1 MiB of them
// stop the reads.
func TestDelayQueue(t *testing.T) {
	for _, tt := range []struct {
		messages, size int
		took           time.Duration
	}{{60, 10, time.Minute}, {3, 600 << 10, 2 * time.Minute}, {2, 1<<20 + 1, time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			s := wstest.NewPipeServer(t, wstest.Delay(time.Minute))
			p := raw(t, s)
			p.Timeout = time.Hour
			start := time.Now()
			go func() {
				for range tt.messages {
					p.Send(wstest.BinaryFrame(make([]byte, tt.size)))
				}
			}()
			for range tt.messages {
				if _, b, err := p.RecvMessage(); err != nil || len(b) != tt.size {
					t.Fatalf("got %d bytes, %v", len(b), err)
				}
			}
			if took := time.Since(start); took != tt.took {
				t.Errorf("took %v, want %v", took, tt.took)
			}
		})
	}
}

// TestStallRead: nothing is answered, and a write blocks when the buffers are full. The
// report comes when the client has ended.
func TestStallRead(t *testing.T) {
	t.Parallel()
	for _, kind := range servers[:2] {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := kind.start(t, wstest.StallRead())
			p := raw(t, s)
			p.Timeout = 300 * time.Millisecond
			var err error
			sent := 0
			for ; err == nil && sent < 64<<20; sent += 1 << 20 {
				err = p.SendRaw(make([]byte, 1<<20))
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v after %d bytes", err, sent)
			}
			check(t, p.RST())
			if r := next(t, s); r.Messages != 0 || r.Echoed != 0 {
				t.Errorf("got %v", r)
			}
		})
	}
	t.Run("pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := wstest.NewPipeServer(t, wstest.StallRead())
			c := coderClient(t, s)
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			if err := c.Write(ctx, websocket.MessageBinary, make([]byte, 100<<10)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if r := next(t, s); r.Messages != 0 || r.End.After != time.Hour {
				t.Errorf("got %v after %v", r, r.End.After)
			}
		})
	})
}

// TestHangingClients checks that clients do not delay the end of a test. They do not read,
// do not write, or hang before the handshake.
func TestHangingClients(t *testing.T) {
	t.Parallel()
	for _, kind := range servers {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			t.Run("test", func(t *testing.T) {
				s := kind.start(t, wstest.Delay(time.Hour), wstest.Send(1, time.Hour))
				c, err := s.Dial("", "")
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				raw(t, s)
				p := raw(t, s)
				check(t, p.Send(wstest.TextFrame("x")))
				stuck := kind.start(t) // in a write
				_, config := wstest.TLS()
				o := wstest.DialOptions{TLS: config, RcvBuf: 4 << 10}
				if kind.name == "pipe" {
					o.Dial = stuck.Dial
				}
				flood := dial(t, stuck.URL, o)
				flood.Timeout = 100 * time.Millisecond
				big := append(wstest.Header(0x80|wstest.Binary, true, [4]byte{}, 8<<20, 0), make([]byte, 8<<20)...)
				for err == nil {
					err = flood.SendRaw(big)
				}
				if got := s.Open(); got != 3 && got != 2 {
					t.Errorf("got %d open connections", got)
				}
				s.Close()
				for range 3 {
					if r := next(t, s); !errors.Is(r.Err, net.ErrClosed) {
						t.Errorf("got %v", r)
					}
				}
				if got := s.Open(); got != 0 {
					t.Errorf("got %d open connections", got)
				}
				if _, err := s.Dial("", ""); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("got %v", err)
				}
			})
			if took := time.Since(start); took > 9*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestTooManyClients: the 1001st connection is closed.
func TestTooManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // else the first ones may have no time for their handshake
		s := wstest.NewPipeServer(t)
		for range 1000 {
			if _, err := s.Dial("", ""); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		c, err := s.Dial("", "")
		check(t, err)
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v", err)
		}
		if r := next(t, s); r.Err == nil || !strings.Contains(r.Err.Error(), "more than 1000") {
			t.Errorf("got %v", r)
		}
	})
}
