package server_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestWriteFails writes to a peer that has left. The server can still read the peer's
// reason, which is the ending.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(p *wstest.Peer)
		want ending.Kind
	}{
		{"close frame", func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1001, "")) }, ending.GoingAway},
		{"close frame behind messages", func(p *wstest.Peer) {
			_ = p.Send(wstest.TextFrame("a"), wstest.TextFrame("b").Open(), wstest.PingFrame("c"), wstest.Frame{Fin: true}, wstest.CloseFrame(4000, ""))
			_ = p.FIN()
		}, ending.PeerCode},
		{"FIN", func(p *wstest.Peer) { _ = p.FIN() }, ending.Abnormal},
		{"RST", func(p *wstest.Peer) { _ = p.RST() }, ending.Reset},
	} {
		for _, mode := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionNoContextTakeover} {
			gone := make(chan struct{})
			s := serve(t, func(ctx context.Context, c *server.Conn) error {
				if _, _, err := c.Read(ctx); err != nil { // the message is complete, so the test must not read it again
					return err
				}
				<-gone
				return stall(ctx, c)
			}, server.Options{Compression: mode, PingInterval: -1, WriteTimeout: 200 * time.Millisecond})
			p := s.dial(t, wstest.DialOptions{Extensions: "permessage-deflate"})
			send(t, p, wstest.TextFrame("first"))
			tt.do(p)
			if tt.want != ending.Reset {
				_ = p.Close() // with or without unread input; the first write succeeds, later ones fail
			}
			time.Sleep(20 * time.Millisecond)
			close(gone)
			o := s.end(t)
			if tt.want == ending.Abnormal && o.Kind == ending.Reset {
				continue // unread input made the close a reset
			}
			wantKind(t, o, tt.want)
		}
	}
}

// TestPongFails sends pings and a close frame, then leaves. The server cannot write the
// pongs, but can read the close frame.
func TestPongFails(t *testing.T) {
	t.Parallel()
	for range 20 {
		s := serve(t, echoes, server.Options{})
		p := s.dial(t, wstest.DialOptions{})
		var all []byte
		for range 100 {
			all = wstest.PingFrame("x").WithKey([4]byte{}).Append(all)
		}
		all = wstest.CloseFrame(1001, "").WithKey([4]byte{}).Append(all)
		_ = p.SendRaw(all)
		_ = p.Close()
		wantKind(t, s.end(t), ending.GoingAway)
	}
}

// TestLingeringInput closes while unread input arrives.
func TestLingeringInput(t *testing.T) {
	t.Parallel()
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		_, r, err := c.Reader(ctx)
		if err != nil {
			return err
		}
		_, err = io.ReadFull(r, make([]byte, 10))
		if err != nil {
			return err
		}
		return nil // the remaining input stays unread
	}, server.Options{CloseTimeout: server.MaxCloseTimeout})
	// Masking 1 MiB on a busy machine can take longer than the server discards input.
	all := wstest.BinaryFrame(make([]byte, 1<<20)).WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	all = wstest.CloseFrame(1000, "").WithKey([4]byte{1, 2, 3, 4}).Append(all)
	for tries := 5; ; tries-- {
		p := s.dial(t, wstest.DialOptions{})
		p.Timeout = soon
		start := time.Now()
		go func() { _ = p.SendRaw(all) }()
		e, err := p.End(soon)
		took := time.Since(start)
		_ = p.Close()
		wantKind(t, s.end(t), ending.Done)
		if err == nil && e.Code == 1000 && e.FIN {
			return
		}
		// The server discards input for a second. A busy machine may be slower.
		if took < time.Second || tries == 1 {
			t.Fatalf("the peer got %v, %v after %v, want code 1000 and FIN", e, err, took)
		}
	}
}
