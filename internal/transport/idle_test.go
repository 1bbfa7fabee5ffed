package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// TestIdle checks the memory of a connection that waits, after input that ends at difficult
// places.
func TestIdle(t *testing.T) {
	t.Parallel()
	whole := func(n int) []byte { return masked(frame.Fin|frame.Binary, make([]byte, n-8)) }
	for _, test := range []struct {
		name string
		in   []byte
		kept int
	}{
		{"nothing", nil, 0},
		{"a message", text("a"), 0},
		{"one byte", text("a")[:1], 1},
		{"a header but its last", text("a")[:5], 5},
		{"a header", text("a")[:6], 0},
		{"a long header but its last", falseHeader(frame.Fin|frame.Text, 1<<20, 64)[:13], 13},
		{"part of a payload", whole(1000)[:700], 0},
		{"part of a ping", masked(frame.Fin|frame.Ping, make([]byte, 125))[:130], 130},
		// Input that fills the small first buffer of the plain path may be complete.
		{"256 bytes", whole(256), 0},
		{"256 bytes and a part", cat(whole(250), text("abc")[:6]), 0},
		{"a full buffer", cat(whole(256), whole(512-headroom)), 0},
		{"two full buffers", cat(whole(256), whole(512-headroom), whole(512-headroom)), 0},
	} {
		for _, kind := range kinds {
			t.Run(test.name+"/"+kind, func(t *testing.T) {
				server, client := over(t, kind)
				asked := &sizeRecorder{Conn: server}
				if kind != "tcp" { // a plain path
					server = asked
				}
				c := New(server, nil, options())
				before := c.LastReceived()
				done := make(chan bool)
				go func() {
					defer close(done)
					_, _ = io.Copy(io.Discard, c)
				}()
				if len(test.in) > 0 { // with a pipe the read would get it
					_, _ = client.Write(test.in)
				}
				time.Sleep(2*largeBufferWait + 20*time.Millisecond)
				eventually(t, "the read waits with little, behind the whole input", func() bool {
					if kind != "tcp" {
						read, size := asked.waiting()
						return read == len(test.in) && size <= maxIncompleteFrame && !c.ReadingSince().IsZero()
					}
					since, last := c.ReadingSince(), c.LastReceived()
					return !since.IsZero() && !since.Before(last) && (len(test.in) == 0 || last.After(before))
				})
				_ = c.Close() // after the check
				<-done
				if got := len(c.in.incompleteFrame); got != test.kept || cap(c.in.incompleteFrame) > maxIncompleteFrame {
					t.Errorf("got %d bytes kept of %d, want %d", got, cap(c.in.incompleteFrame), test.kept)
				}
				if c.in.buf != nil || c.out.buf != nil {
					t.Error("a buffer was not released")
				}
				client.Close()
				c.Hangup()
			})
		}
	}
}

// sizeRecorder is a socket that records what its reads have returned, and the buffer size of
// the Read that waits.
type sizeRecorder struct {
	net.Conn
	mu         sync.Mutex
	read, size int
}

func (a *sizeRecorder) Read(p []byte) (int, error) {
	a.mu.Lock()
	a.size = len(p)
	a.mu.Unlock()
	n, err := a.Conn.Read(p)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read += n
	a.size = math.MaxInt // no Read waits
	return n, err
}

func (a *sizeRecorder) waiting() (read, size int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.read, a.size
}

// NetConn returns the connection that a wraps.
func (a *sizeRecorder) NetConn() net.Conn { return a.Conn }

func TestTransportState(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			server, client := over(t, kind)
			o := options()
			pinged := make(chan string, 1)
			o.OnPong = func(p []byte) { <-pinged; pinged <- string(p) }
			c := New(server, nil, o)
			if c.LastReceived().Before(c.Began()) || !c.ReadingSince().IsZero() || !c.PingSent().IsZero() || c.Writing() || c.Unsent() != 0 {
				t.Error("the state has an event that has not been")
			}
			ws := accept(t, c)
			read := make(chan error, 1)
			go func() { read <- echo(ws) }()
			eventually(t, "the read waits", func() bool { return !c.ReadingSince().IsZero() })
			began, heard := c.ReadingSince(), c.LastReceived()
			p := wstest.Client(client)
			pinged <- "nothing"
			go c.Ping([]byte("1"))
			f, err := p.Recv()
			if err != nil || f.Opcode != frame.Ping {
				t.Fatal(f, err)
			}
			eventually(t, "the ping has left", func() bool { return !c.PingSent().IsZero() })
			if got := c.ReadingSince(); !got.Equal(began) {
				t.Errorf("got reading since %v, want %v still", got, began)
			}
			if !c.LastReceived().Equal(heard) {
				t.Error("a pong was received that was not sent")
			}
			if err := p.Send(wstest.PongFrame(string(f.Payload))); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the read waits again", func() bool { return c.ReadingSince().After(began) })
			if got := <-pinged; got != "1" || !c.LastReceived().After(heard) {
				t.Errorf("received the pong %q, want 1", got)
			}
			client.Close()
			<-read
			if !c.ReadingSince().IsZero() {
				t.Error("a read waits after the end")
			}
			_ = ws.CloseNow()
			c.Hangup()
		})
	}
}

// bench echoes messages of one size through coder.
func bench(b *testing.B, kind string, size, flight int) {
	server, client := over(b, kind)
	o := options()
	o.Read, o.Write = NewPool(64<<10+headroom), NewPool(64<<10+headroom)
	o.MessageTimeout, o.WriteTimeout = 30*time.Second, 10*time.Second
	c := trusted(server, nil, o, false)
	ws := accept(b, c)
	done := make(chan error, 1)
	go func() { done <- echo(ws) }()
	in := bytes.Repeat(masked(frame.Fin|frame.Binary, make([]byte, size)), flight)
	out := make([]byte, flight*len(wstest.BinaryFrame(make([]byte, size)).Append(nil)))
	trip := func() {
		if _, err := client.Write(in); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, out); err != nil {
			b.Fatal(err)
		}
	}
	trip()
	b.SetBytes(int64(flight * size))
	b.ReportAllocs()
	for b.Loop() {
		trip()
	}
	b.StopTimer()
	client.Close()
	<-done
	_ = ws.CloseNow()
	c.Hangup()
}

func BenchmarkEcho(b *testing.B) {
	for _, kind := range []string{"tcp", "tls"} {
		for _, size := range []int{5, 125, 4 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) { bench(b, kind, size, 1) })
		}
	}
	for _, size := range []int{5, 4 << 10} {
		b.Run(fmt.Sprintf("tcp/%d/16 in flight", size), func(b *testing.B) { bench(b, "tcp", size, 16) })
	}
}

// TestNoAllocations checks that the transport allocates nothing for an echoed message.
func TestNoAllocations(t *testing.T) {
	if race {
		t.Skip("sync.Pool drops values under the race detector")
	}
	// The deadlines of a net.Pipe allocate, and so does crypto/tls.
	for _, kind := range []string{"tcp"} {
		for _, size := range []int{5, 125, 4 << 10, 60 << 10} {
			server, client := over(t, kind)
			o := options()
			o.Read, o.Write = NewPool(64<<10), NewPool(64<<10)
			o.MessageTimeout, o.WriteTimeout = 30*time.Second, 10*time.Second
			c := trusted(server, nil, o, false)
			in := masked(frame.Fin|frame.Binary, make([]byte, size))
			back := wstest.BinaryFrame(make([]byte, size)).Append(nil)
			b := make([]byte, len(in))
			out := make([]byte, len(back))
			sent := make(chan bool)
			got := make(chan bool)
			go func() {
				for range sent {
					_, _ = client.Write(in)
					_, _ = io.ReadFull(client, out)
					got <- true
				}
			}()
			allocs := testing.AllocsPerRun(200, func() {
				sent <- true
				// A frame in pieces has more headers.
				for _, out := c.Counts(); c.in.Counts.Total().Messages == out.Total().Messages; {
					if _, err := c.Read(b); err != nil {
						t.Fatal(err)
					}
				}
				for c.in.r < c.in.ready {
					_, _ = c.Read(b)
				}
				if _, err := c.Write(back); err != nil {
					t.Fatal(err)
				}
				<-got
			})
			if allocs > 0 {
				t.Errorf("%s, %d bytes: got %v allocations, want none", kind, size, allocs)
			}
			close(sent)
			client.Close()
			_ = c.Close()
			c.Hangup()
		}
	}
}

// TestEndReleasesInput checks that the end releases input that was not read.
func TestEndReleasesInput(t *testing.T) {
	sock, peer := net.Pipe()
	o := options()
	o.Read = NewPool(64 << 10)
	c := New(sock, nil, o)
	ws := accept(t, c)
	var many []byte
	for range 1000 {
		many = wstest.TextFrame("hello").WithKey([4]byte{1, 2, 3, 4}).Append(many)
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer peer.Close()
	all.Go(func() { _, _ = peer.Write(many) })
	for range 100 { // so that a large buffer is in use
		if _, _, err := ws.Read(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	_ = ws.CloseNow()
	c.Hangup()
	if c.in.buf != nil || c.in.incompleteFrame != nil {
		t.Errorf("%d bytes were not released", cap(c.in.incompleteFrame))
	}
}
