package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// beneath returns the TCP connection of a peer.
func beneath(c net.Conn) *net.TCPConn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	return c.(*net.TCPConn)
}

// TestTruncated ends the stream at every byte of a message, and checks that no part counts
// as a whole message.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		in   []byte
	}{
		{"plain", text("hello")},
		{"medium", masked(frame.Fin|frame.Binary, make([]byte, 126))},
		{"fragments", cat(masked(frame.Text, []byte("he")), masked(frame.Fin|frame.Ping, []byte("p")), masked(0, nil), masked(frame.Fin, []byte("llo")))},
	} {
		for _, kind := range kinds {
			t.Run(test.name+"/"+kind, func(t *testing.T) {
				for n := 0; n <= len(test.in); n += max(1, len(test.in)/40) {
					server, client := over(t, kind)
					c := New(server, nil, options())
					ws := accept(t, c)
					got := drained(client)
					go func() {
						if n > 0 { // with a pipe the read would get it
							_, _ = client.Write(test.in[:n])
						}
						if half, ok := client.(interface{ CloseWrite() error }); ok {
							half.CloseWrite()
						} else {
							client.Close()
						}
					}()
					p, err := message(ws)
					if n == len(test.in) && err == nil {
						_, err = message(ws)
					}
					if err == nil {
						t.Fatalf("%d of %d bytes gave a message of %d", n, len(test.in), len(p))
					}
					if kindOf(err) != ending.Abnormal || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || !ending.Gone(err) {
						t.Errorf("%d of %d bytes: got %v, want abnormal", n, len(test.in), err)
					}
					_ = ws.CloseNow()
					c.Hangup()
					<-got
				}
			})
		}
	}
}

func TestEnds(t *testing.T) {
	m := text("hello")
	for _, test := range []struct {
		name string
		kind string
		end  func(t *testing.T, client net.Conn)
		want ending.Kind
	}{
		{"FIN", "tcp", func(t *testing.T, c net.Conn) { beneath(c).CloseWrite() }, ending.Abnormal},
		{"FIN", "tls", func(t *testing.T, c net.Conn) { beneath(c).CloseWrite() }, ending.Abnormal},
		{"RST", "tcp", reset, ending.Reset},
		{"RST", "tls", reset, ending.Reset},
		{"inside a record", "tls", func(t *testing.T, c net.Conn) {
			// The header and a part of a TLS record.
			_, _ = beneath(c).Write([]byte{23, 3, 3, 0, 100, 1, 2, 3})
			beneath(c).CloseWrite()
		}, ending.Truncated},
		{"inside a record's header", "tls", func(t *testing.T, c net.Conn) {
			_, _ = beneath(c).Write([]byte{23, 3})
			beneath(c).CloseWrite()
		}, ending.Truncated},
	} {
		for _, n := range []int{0, 1, 6, 8, len(m)} {
			t.Run(fmt.Sprintf("%s/%s/%d", test.kind, test.name, n), func(t *testing.T) {
				server, client := over(t, test.kind)
				c := New(server, nil, options())
				ws := accept(t, c)
				if _, err := client.Write(m[:n]); err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() {
					_, err := message(ws)
					if n == len(m) && err == nil {
						_, err = message(ws)
					}
					done <- err
				}()
				// A reset may discard data before it.
				eventually(t, "the read waits for more", func() bool { return !c.ReadingSince().IsZero() })
				test.end(t, client)
				err := within(t, done)
				if got := kindOf(err); got != test.want {
					t.Errorf("got %v, want %v", err, test.want)
				}
				_ = ws.CloseNow()
				client.Close()
				c.Hangup()
			})
		}
	}
}

func reset(t *testing.T, c net.Conn) {
	_ = beneath(c).SetLinger(0)
	beneath(c).Close()
}

// TestHangup has a peer that sends without pause. The close frame must still arrive, and
// no reset before it.
func TestHangup(t *testing.T) {
	for _, kind := range []string{"tcp", "tls"} {
		t.Run(kind, func(t *testing.T) {
			for attempt := 1; !hangUpBusy(t, kind); attempt++ {
				if attempt == 10 {
					t.Fatalf("Hangup needs %v for 3 MB", lingerTime)
				}
			}
		})
	}
}

// hangUpBusy returns false if Hangup has reached its time limit and discarded only a part.
func hangUpBusy(t *testing.T, kind string) bool {
	server, client := over(t, kind)
	c := New(server, nil, options())
	ws := accept(t, c)
	sent := make(chan error, 1)
	go func() {
		junk := masked(frame.Fin|frame.Binary, make([]byte, 10_000))
		for range 300 {
			if _, err := client.Write(junk); err != nil {
				sent <- err
				return
			}
		}
		sent <- beneath(client).CloseWrite()
	}()
	for range 3 {
		if _, err := message(ws); err != nil {
			t.Fatal(err)
		}
	}
	// As package server does for a violation.
	c.CloseBy(time.Now().Add(5 * time.Second))
	c.Fail(&ending.Error{Kind: ending.Protocol})
	_ = ws.Close(websocket.StatusProtocolError, "no")
	took := make(chan time.Duration, 1)
	go func() {
		start := time.Now()
		c.Hangup()
		took <- time.Since(start)
	}()
	errSend := within(t, sent)
	b, err := io.ReadAll(client)
	atLimit := within(t, took) >= lingerTime // a slow machine discards less until then
	if errSend == nil && err == nil && frames(t, b) == `8:"\x03\xeano"` {
		return true
	}
	if !atLimit {
		t.Errorf("got %q, %v, want the close frame and the end; sending: %v", b, err, errSend)
	}
	return !atLimit
}

// TestHangupFlood has a peer that never stops sending. Hangup must end before its time limit.
func TestHangupFlood(t *testing.T) {
	server, client := over(t, "tcp")
	c := New(server, nil, options())
	_ = c.Close()
	sent := make(chan int)
	go func() {
		total := 0
		for b := make([]byte, 64<<10); ; {
			n, err := client.Write(b)
			if total += n; err != nil {
				sent <- total
				return
			}
		}
	}()
	start := time.Now()
	c.Hangup()
	atLimit := time.Since(start) >= lingerTime // a slow machine sends less until then
	// The sockets buffer more.
	if n := within(t, sent); n < lingerBytes && !atLimit || n > lingerBytes+16<<20 {
		t.Errorf("%d bytes were sent, want little more than %d", n, lingerBytes)
	}
}

// TestHangupBound has peers that do nothing. Hangup must end in about a second, or at the
// time of CloseBy.
func TestHangupBound(t *testing.T) {
	for _, test := range []struct {
		kind    string
		stalled bool
		by      time.Duration
		want    time.Duration
	}{
		{"tcp", false, 0, time.Second},
		{"tls", false, 0, time.Second},
		{"tcp", false, 100 * time.Millisecond, 100 * time.Millisecond},
		{"tls", false, 100 * time.Millisecond, 100 * time.Millisecond},
		{"tcp", true, 100 * time.Millisecond, 100 * time.Millisecond},
		{"tls", true, 100 * time.Millisecond, 100 * time.Millisecond},
		{"tls", true, 0, time.Second},
		{"pipe", true, 0, 0},
		{"tls", true, -1, 0},
	} {
		t.Run(fmt.Sprintf("%s/%v/%v", test.kind, test.stalled, test.by), func(t *testing.T) {
			t.Parallel()
			server, client := over(t, test.kind)
			o := options()
			c := New(server, nil, o)
			if test.stalled {
				if test.kind != "pipe" {
					shrink(client)
				}
				go fill(c) // still writing at the end
				eventually(t, "the write waits", c.Writing)
			}
			go func() { _, _ = c.Read(make([]byte, 1)) }() // still reading at the end
			start := time.Now()
			if test.by != 0 {
				c.CloseBy(start.Add(test.by))
			}
			c.Hangup()
			if took := time.Since(start); took < test.want || took > test.want+5*time.Second || test.want == 0 && took > time.Second {
				t.Errorf("it took %v, want about %v", took, test.want)
			}
			c.in.mu.Lock()
			c.out.mu.Lock()
			if c.in.buf != nil || c.out.buf != nil {
				t.Error("a buffer was not released")
			}
			c.out.mu.Unlock()
			c.in.mu.Unlock()
			if _, err := c.Write([]byte("\x81\x00")); err == nil {
				t.Error("a write after Hangup succeeded")
			}
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a read after Hangup succeeded")
			}
		})
	}
}

// TestHangupFIN has a TLS peer that answers with a FIN of TCP only. Hangup must not wait for
// its time limit.
func TestHangupFIN(t *testing.T) {
	for _, kind := range []string{"tcp", "tls"} {
		server, client := over(t, kind)
		c := New(server, nil, options())
		_ = c.Close()
		done := make(chan bool)
		go func() { c.Hangup(); close(done) }()
		start := time.Now()
		_, err := io.Copy(io.Discard, beneath(client))
		if took := time.Since(start); err != nil || took > lingerTime*8/10 {
			t.Errorf("%s: got FIN after %v, %v", kind, took, err)
		}
		client.Close()
		within(t, done)
	}
}

// TestLeftBehind has a reader and a writer that still run when Hangup releases the buffers.
// They must not change bytes of other connections.
func TestLeftBehind(t *testing.T) {
	for range 30 {
		server, client := over(t, "tcp")
		o := options()
		c := New(server, nil, o)
		got := drained(client)
		go func() {
			for {
				if _, err := client.Write(text("hello")); err != nil {
					return
				}
			}
		}()
		ended := make(chan bool, 2)
		go func() {
			defer func() { ended <- true }()
			for b := make([]byte, 100); ; {
				if _, err := c.Read(b); err != nil {
					return
				}
			}
		}()
		go func() {
			defer func() { ended <- true }()
			for {
				if _, err := c.Write([]byte("\x81\x01a")); err != nil {
					return
				}
			}
		}()
		time.Sleep(time.Millisecond)
		c.Abort()
		c.Hangup()
		a, b := o.Read.get(), o.Read.get()
		if a == b {
			t.Fatal("the pool has returned a buffer twice")
		}
		within(t, ended)
		within(t, ended)
		<-got
	}
}

// TestLikeServer ends connections as package server does, from either side, with messages
// in flight.
func TestLikeServer(t *testing.T) {
	for _, kind := range kinds {
		for _, ours := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/ours=%v", kind, ours), func(t *testing.T) {
				server, client := over(t, kind)
				c := trusted(server, nil, options(), false)
				ws := accept(t, c)
				done := make(chan error, 1)
				go func() { done <- echo(ws) }()
				p := wstest.Client(client)
				for range 10 {
					if err := p.Send(wstest.TextFrame("x")); err != nil {
						t.Fatal(err)
					}
					if f, err := p.Recv(); err != nil || string(f.Payload) != "x" {
						t.Fatal(f, err)
					}
				}
				answered := make(chan error, 1)
				if ours {
					go func() {
						_, err := p.Answer(context.Background(), wstest.AnswerOptions{})
						answered <- err
					}()
					c.CloseBy(time.Now().Add(5 * time.Second))
					if err := ws.Close(1001, "bye"); err != nil {
						t.Error(err)
					}
				} else {
					go func() {
						answered <- p.Send(wstest.CloseFrame(1001, "bye"))
						code, _, err := p.Await(5 * time.Second)
						if code != 1001 || err != nil {
							t.Errorf("got %d, %v, want 1001", code, err)
						}
						answered <- err
					}()
				}
				err := within(t, done)
				if code, _ := c.PeerClose(); code != 1001 || !c.CloseSent() {
					t.Errorf("got %v, peer's close %d, ours sent %v", err, code, c.CloseSent())
				}
				hung := make(chan bool)
				go func() { c.Hangup(); close(hung) }()
				within(t, answered)
				if !ours {
					within(t, answered)
				}
				p.Close()
				within(t, hung)
			})
		}
	}
}
