package server_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// onPipes runs f with a server on pipes and the clock of synctest.
func onPipes(t *testing.T, h server.Handler, o server.Options, f func(s *testServer, p *wstest.Peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		s := serveOn(t, l, h, o)
		p := l.upgrade(t, "/")
		p.Timeout = -1
		// The handler reads now. If a close handshake read first, the handler would wait
		// for a mutex. The clock of the bubble would stop.
		synctest.Wait()
		f(s, p)
		_ = p.Close()
		_ = s.stop()
		synctest.Wait()
	})
}

// TestDeadPeer: a peer answers nothing. The heartbeat ends the connection within the
// documented bound. The connection is closed at most a close timeout later.
func TestDeadPeer(t *testing.T) {
	for _, missed := range []int{-1, 1, 2, 5} {
		const interval, timeout, closing = 20 * time.Second, 10 * time.Second, 3 * time.Second
		onPipes(t, echoes, server.Options{MaxMissed: missed, CloseTimeout: closing}, func(s *testServer, p *wstest.Peer) {
			start := time.Now()
			drop := make(chan struct{})
			go func() { defer close(drop); _, _ = p.End(time.Hour) }()
			o := <-s.ends
			wantKind(t, o, ending.NoPong)
			bound := time.Duration(max(0, missed)+1)*interval + timeout
			if d := o.Ended.Sub(o.LastReceived); d > bound || d < timeout {
				t.Errorf("missed %d: given up after %v, want at most %v", missed, d, bound)
			}
			if d := time.Since(o.Ended); d > closing {
				t.Errorf("missed %d: closed %v later, want at most %v", missed, d, closing)
			}
			if o.Code != 1001 || o.Sent != 1001 || time.Since(start) > bound+closing {
				t.Errorf("missed %d: got %+v after %v", missed, o, time.Since(start))
			}
			<-drop
		})
	}
}

// TestLivingPeers: the heartbeat never ends a live peer, whatever it sends.
func TestLivingPeers(t *testing.T) {
	for name, answer := range map[string]wstest.AnswerOptions{
		"correct":         {},
		"another payload": {Pong: func([]byte) []byte { return []byte("something else") }},
		"empty payload":   {Pong: func([]byte) []byte { return nil }},
	} {
		onPipes(t, echoes, server.Options{}, func(s *testServer, p *wstest.Peer) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			if e, err := p.Answer(ctx, answer); err == nil {
				t.Errorf("%s: ended: %v", name, e)
			}
			for i := range s.Connections() {
				if h := i.Heartbeat; h.Answered < 170 || h.Missed != 0 {
					t.Errorf("%s: got %+v", name, h)
				}
			}
		})
	}
	t.Run("pings and no pongs", func(t *testing.T) {
		onPipes(t, echoes, server.Options{}, func(s *testServer, p *wstest.Peer) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			go func() {
				for ctx.Err() == nil {
					time.Sleep(8 * time.Second)
					_ = p.Send(wstest.PingFrame("here"))
				}
			}()
			if e, err := p.Answer(ctx, wstest.AnswerOptions{NoPong: true}); err == nil {
				t.Errorf("ended: %v", e)
			}
			time.Sleep(10 * time.Second)
		})
	})
}

// TestUnreadPong: the handler does not read for an hour. The heartbeat does not blame
// the peer.
func TestUnreadPong(t *testing.T) {
	const hour = time.Hour
	onPipes(t, func(ctx context.Context, c *server.Conn) error {
		select {
		case <-time.After(hour):
		case <-ctx.Done():
		}
		return readAll(ctx, c)
	}, server.Options{}, func(s *testServer, p *wstest.Peer) {
		// A pong on a pipe would block until the server reads, so the peer sends none
		// before.
		for _, o := range []wstest.AnswerOptions{{NoPong: true}, {}} {
			ctx, cancel := context.WithTimeout(context.Background(), hour)
			defer cancel()
			if e, err := p.Answer(ctx, o); err == nil {
				t.Errorf("ended: %v", e)
			}
		}
		for i := range s.Connections() {
			if h := i.Heartbeat; h.Unread < 170 || h.Answered < 170 {
				t.Errorf("got %+v", h)
			}
		}
	})
}

// TestStalledPeer: the peer reads nothing during a write. The connection ends as
// write-stalled after the write timeout, not as a dead peer.
func TestStalledPeer(t *testing.T) {
	onPipes(t, stall, server.Options{}, func(s *testServer, p *wstest.Peer) {
		start := time.Now()
		o := <-s.ends
		wantKind(t, o, ending.WriteStalled)
		if d := o.Ended.Sub(start); d != server.DefaultWriteTimeout {
			t.Errorf("ended after %v, want %v", d, server.DefaultWriteTimeout)
		}
	})
}

// TestMinWriteRate: the peer reads a little less than the default rate. The connection ends
// as write-stalled after the write timeout, unless the rate is off.
func TestMinWriteRate(t *testing.T) {
	for _, rate := range []int64{0, -1} {
		onPipes(t, stall, server.Options{MinWriteRate: rate, PingInterval: -1}, func(s *testServer, p *wstest.Peer) {
			start := time.Now()
			b := make([]byte, server.DefaultMinWriteRate-1)
			for err := p.NetConn().SetReadDeadline(time.Time{}); err == nil && time.Since(start) < time.Minute; {
				time.Sleep(time.Second)
				_, err = io.ReadFull(p.NetConn(), b)
			}
			o := <-s.ends
			wantKind(t, o, ending.WriteStalled)
			if d := o.Ended.Sub(start); rate == 0 && d != server.DefaultWriteTimeout || rate < 0 && d < time.Minute {
				t.Errorf("rate %d: ended after %v, want %v at the default rate and more than a minute without", rate, d, server.DefaultWriteTimeout)
			}
		})
	}
}

// TestSlowIsNotIdle sends a message for longer than the idle timeout. Pings do not
// count.
func TestSlowIsNotIdle(t *testing.T) {
	const idle = 10 * time.Second
	onPipes(t, echoes, server.Options{IdleTimeout: idle, PingInterval: -1}, func(s *testServer, p *wstest.Peer) {
		send(t, p, wstest.TextFrame("").Open())
		for range 3 {
			time.Sleep(idle - time.Second)
			send(t, p, wstest.Frame{Payload: []byte("x")})
		}
		send(t, p, wstest.Frame{Fin: true})
		receive(t, p, wstest.Text, "xxx")
		start := time.Now()
		time.Sleep(idle / 2)
		send(t, p, wstest.PingFrame("x"))
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{})
		o := <-s.ends
		wantKind(t, o, ending.Idle)
		if d := o.Ended.Sub(start); d != idle {
			t.Errorf("ended after %v, want %v", d, idle)
		}
	})
}

// TestClocks checks the exact times of the other timeouts.
func TestClocks(t *testing.T) {
	for name, tt := range map[string]struct {
		o        server.Options
		do       func(p *wstest.Peer)
		want     ending.Kind
		from, to time.Duration
	}{
		"message": {server.Options{PingInterval: -1}, func(p *wstest.Peer) { _ = p.SendRaw([]byte{0x81}) }, ending.TooSlow, server.DefaultMessageTimeout, server.DefaultMessageTimeout},
		"drip": {server.Options{PingInterval: -1}, func(p *wstest.Peer) {
			_ = p.Drip(wstest.TextFrame("this comes one byte at a time").WithKey([4]byte{1, 2, 3, 4}).Append(nil), 2*time.Second)
		}, ending.TooSlow, server.DefaultMessageTimeout, server.DefaultMessageTimeout},
		"idle": {server.Options{IdleTimeout: 5 * time.Minute}, nil, ending.Idle, 5 * time.Minute, 5 * time.Minute},
		"idle after a message": {server.Options{IdleTimeout: 5 * time.Minute}, func(p *wstest.Peer) {
			time.Sleep(4 * time.Minute)
			_ = p.Send(wstest.TextFrame("x"))
		}, ending.Idle, 9 * time.Minute, 9 * time.Minute},
		"age": {server.Options{MaxAge: time.Hour}, nil, ending.Aged, 54 * time.Minute, 66 * time.Minute},
	} {
		onPipes(t, echoes, tt.o, func(s *testServer, p *wstest.Peer) {
			start := time.Now()
			ended := make(chan struct{})
			go func() { defer close(ended); _, _ = p.Answer(context.Background(), wstest.AnswerOptions{NoClose: true}) }()
			if tt.do != nil {
				tt.do(p)
			}
			o := <-s.ends
			wantKind(t, o, tt.want)
			if d := o.Ended.Sub(start); d < tt.from || d > tt.to {
				t.Errorf("%s: ended after %v, want %v to %v", name, d, tt.from, tt.to)
			}
			<-ended
		})
	}
}
