package server_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// onTCPAndTLS runs f over TCP and over TLS.
func onTCPAndTLS(t *testing.T, f func(t *testing.T, serve func(testing.TB, server.Handler, server.Options) *testServer)) {
	t.Run("TCP", func(t *testing.T) { t.Parallel(); f(t, serve) })
	t.Run("TLS", func(t *testing.T) { t.Parallel(); f(t, serveTLS) })
}

// TestRefusedInMidFlood: a refused peer continues to send. It must receive the close
// frame.
func TestRefusedInMidFlood(t *testing.T) {
	t.Parallel()
	onTCPAndTLS(t, func(t *testing.T, serve func(testing.TB, server.Handler, server.Options) *testServer) {
		s := serve(t, echoes, server.Options{ReadLimit: 1000, MaxConns: -1, CloseTimeout: server.MaxCloseTimeout})
		slow := 0
		for range 10 {
			p := s.dial(t, wstest.DialOptions{})
			start := time.Now()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				e, err := p.End(soon)
				if err == nil && e.Code == 1009 && e.FIN {
					return
				}
				// The server discards input for a second. A busy machine may be slower.
				if slow++; slow > 3 || time.Since(start) < time.Second {
					t.Errorf("the peer got %v, %v, want code 1009 and FIN", e, err)
				}
			}()
			junk := make([]byte, 64<<10)
			_ = p.SendRaw(wstest.Header(0x82, true, [4]byte{}, 1<<30, 64))
			for range 20 { // 1.25 MiB, which the server discards
				if p.SendRaw(junk) != nil {
					break
				}
			}
			<-ended
			_ = p.Close()
			o := s.end(t)
			wantKind(t, o, ending.TooBig)
			if o.Sent != 1009 {
				t.Errorf("sent: got %d", o.Sent)
			}
		}
	})
}

// TestEndlessFlood: a peer never stops sending and never closes.
func TestEndlessFlood(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]server.Handler{"refused": echoes, "done": returns(nil)} {
		s := serve(t, h, server.Options{ReadLimit: 1000})
		p := s.dial(t, wstest.DialOptions{})
		go func() {
			b := wstest.Frame{Fin: true, Opcode: wstest.Binary, Masked: true, Payload: make([]byte, 2000)}.Append(nil)
			for b = bytes.Repeat(b, 30); p.SendRaw(b) == nil; {
			}
		}()
		start := time.Now()
		o := s.end(t)
		if d := time.Since(start); d > 8*closeTimeout || o.Sent == 0 {
			t.Errorf("%s: ended after %v: %+v", name, d, o)
		}
		_ = p.Close()
	}
}

// TestNeverCloses: a peer answers the close frame and leaves TCP open, or does nothing.
func TestNeverCloses(t *testing.T) {
	t.Parallel()
	onTCPAndTLS(t, func(t *testing.T, serve func(testing.TB, server.Handler, server.Options) *testServer) {
		for _, answers := range []bool{true, false} {
			s := serve(t, returns(nil), server.Options{})
			p := s.dial(t, wstest.DialOptions{})
			if answers {
				send(t, p, wstest.CloseFrame(1000, ""))
			}
			start := time.Now()
			wantKind(t, s.end(t), ending.Done)
			if d := time.Since(start); d > 8*closeTimeout {
				t.Errorf("answers %v: ended after %v", answers, d)
			}
			finish(t, p, 1000)
		}
	})
}

// TestCloseWhileStalled: the peer stops reading, so no close frame reaches it. No
// ending waits for it.
func TestCloseWhileStalled(t *testing.T) {
	t.Parallel()
	onTCPAndTLS(t, func(t *testing.T, serve func(testing.TB, server.Handler, server.Options) *testServer) {
		s := serve(t, stall, server.Options{})
		p := s.dial(t, wstest.DialOptions{RcvBuf: 4096})
		stalled := func() (n int64) {
			for i := range s.Connections() {
				n = i.BytesOut + i.MessagesOut
			}
			return n
		}
		// On a busy machine a writer may make no progress for a moment although it is
		// not stalled.
		for last, same := int64(-1), 0; same < 20; time.Sleep(50 * time.Millisecond) {
			if now := stalled(); now != last {
				last, same = now, 0
			} else {
				same++
			}
		}
		start := time.Now()
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 8*closeTimeout {
			t.Errorf("the drain took %v", d)
		}
		o := s.end(t)
		wantKind(t, o, ending.Drained)
		if o.Sent != 0 {
			t.Errorf("sent: got %d, want none", o.Sent)
		}
		_ = p.Close()
	})
}

// TestPingWhileStalled pings a server whose write is stalled. The connection stays
// open, and the write continues when the peer reads again.
func TestPingWhileStalled(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	wrote := make(chan error, 1)
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		go func() { wrote <- c.Write(ctx, websocket.MessageBinary, make([]byte, size)) }()
		return readAll(ctx, c)
	}, server.Options{})
	p := s.dial(t, wstest.DialOptions{RcvBuf: 4096})
	time.Sleep(100 * time.Millisecond)
	send(t, p, wstest.PingFrame("are you there?"))
	time.Sleep(100 * time.Millisecond)
	p.Timeout = soon
	receive(t, p, wstest.Binary, string(make([]byte, size)))
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	send(t, p, wstest.CloseFrame(1000, ""))
	finish(t, p, 1000)
	wantKind(t, s.end(t), ending.Normal)
}
