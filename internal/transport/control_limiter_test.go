package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// TestPingBurst sends the largest allowed burst of pings and expects each pong, in order.
func TestPingBurst(t *testing.T) {
	for _, kind := range kinds {
		server, client := over(t, kind)
		c := New(server, nil, options())
		ws := accept(t, c)
		done := make(chan error, 1)
		go func() { done <- echo(ws) }()
		var in, want []byte
		for i := range controlBurst {
			p := []byte{byte(i >> 8), byte(i)}
			in = append(in, masked(frame.Fin|frame.Ping, p)...)
			want = wstest.Frame{Fin: true, Opcode: frame.Pong, Payload: p}.Append(want)
		}
		go client.Write(in)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the pongs are not those of the pings (%v)", kind, err)
		}
		client.Close()
		<-done
		_ = ws.CloseNow()
		c.Hangup()
	}
}

// TestControlFlood sends control frames in many ways for a minute, and checks which of them
// are refused, and when.
func TestControlFlood(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	ping, pong := masked(frame.Fin|frame.Ping, []byte("x")), masked(frame.Fin|frame.Pong, nil)
	for _, test := range []struct {
		name  string
		send  []byte        // the input
		every time.Duration // between two inputs, for a minute or until a refusal
		ours  bool          // this side sends a ping before each input
		most  int           // the number of inputs until the refusal; 0: none
		least int
	}{
		{"pings at once", bytes.Repeat(ping, 100), 0, false, controlBurst / 100, controlBurst / 100},
		{"pongs at once", bytes.Repeat(pong, 100), 0, false, controlBurst / 100, controlBurst / 100},
		{"both at once", bytes.Repeat(cat(ping, pong), 50), 0, false, controlBurst / 100, controlBurst / 100},
		{"twice as fast as they may", cat(ping, ping), 10 * time.Millisecond, false, 2*controlBurst + 10, controlBurst - 10},
		{"as fast as they may", ping, 10 * time.Millisecond, false, 0, 0},
		{"a ping with each message", cat(ping, text("a")), time.Millisecond, false, 0, 0},
		{"in a message", cat(masked(frame.Text, nil), bytes.Repeat(ping, 5), masked(frame.Fin, nil)), 20 * time.Millisecond, false, 2 * controlBurst, 100},
		{"answers", pong, time.Millisecond, true, 0, 0},
		{"a burst every 20 s", bytes.Repeat(ping, controlBurst), minute / 3, false, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				c := New(server, nil, options())
				ws := accept(t, c)
				read := make(chan error, 1)
				go func() {
					defer server.Close() // no read follows
					read <- echo(ws)
				}()
				all := drained(client)
				sent := 0
				for start := time.Now(); (sent == 0 || time.Since(start) < minute) && sent < 100_000; sent++ {
					if test.ours {
						c.Ping([]byte("ours"))
					}
					if _, err := client.Write(test.send); err != nil || c.Err() != nil {
						break
					}
					if test.every > 0 {
						time.Sleep(test.every)
						synctest.Wait()
					}
				}
				var refused *ending.Error
				switch errors.As(c.Err(), &refused); {
				case test.most == 0 && c.Err() != nil:
					t.Errorf("got %v after %d, want none", c.Err(), sent)
				case test.most > 0 && (refused == nil || refused.Kind != ending.Flood || sent > test.most || sent < test.least):
					t.Errorf("got %v after %d, want a flood after %d to %d", c.Err(), sent, test.least, test.most)
				}
				c.Abort()
				<-read
				<-all
				_ = ws.CloseNow()
				c.Hangup()
			})
		})
	}
}

// BenchmarkPings measures the cost of an allowed ping.
func BenchmarkPings(b *testing.B) {
	server, client := over(b, "tcp")
	o := options()
	o.Read, o.Write = NewPool(64<<10), NewPool(64<<10)
	c := trusted(server, nil, o, false)
	ws := accept(b, c)
	done := make(chan error, 1)
	go func() { done <- echo(ws) }()
	in := append(bytes.Repeat(masked(frame.Fin|frame.Ping, []byte("x")), 16), bytes.Repeat(text("x"), 16)...)
	out := make([]byte, 16*6)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(in); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, out); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	client.Close()
	<-done
	_ = ws.CloseNow()
	c.Hangup()
}
