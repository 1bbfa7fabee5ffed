package soak

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/coder/websocket"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/echo"
	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// visitOf runs one visit of a behaviour to addr.
func visitOf(name, addr string, seed uint64, compression bool) *Server {
	s := &Server{Process: measure.Of(nil, addr), Name: "it", Scheme: "ws"}
	l := &Load{latency: hdrhistogram.New(1000, int64(time.Minute), 3)}
	for _, b := range behaviours {
		if b.name == name {
			l.visit(s, b, rand.New(rand.NewPCG(seed, 0)), 1, compression)
		}
	}
	return s
}

// TestWrongEchoes: a visit complains about each kind of wrong echo.
func TestWrongEchoes(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(f *wstest.Frame)
		want   string
	}{
		"a byte":     {func(f *wstest.Frame) { f.Payload[len(f.Payload)-1] ^= 1 }, "differs from byte"},
		"truncated":  {func(f *wstest.Frame) { f.Payload = f.Payload[:len(f.Payload)-1] }, "differs from byte"},
		"longer":     {func(f *wstest.Frame) { f.Payload = append(f.Payload, 'x') }, "differs from byte"},
		"type":       {func(f *wstest.Frame) { f.Opcode ^= 3 }, "the echo has opcode"},
		"compressed": {func(f *wstest.Frame) { f.Rsv = wstest.RSV1 }, "without permessage-deflate"},
		"a close":    {func(f *wstest.Frame) { *f = wstest.CloseFrame(1011, "") }, "want an echo"},
		"no message": {func(f *wstest.Frame) { f.Opcode = wstest.Continuation }, "unexpected frame"},
		"a pong":     {func(f *wstest.Frame) { f.Opcode = wstest.Pong; f.Payload = nil }, "unsolicited"},
	} {
		t.Run(name, func(t *testing.T) {
			url := wstest.Serve(t, func(p *wstest.Peer) {
				p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
					if f.Opcode > wstest.Binary || len(f.Payload) == 0 {
						return
					}
					reply := wstest.Frame{Fin: f.Fin, Opcode: f.Opcode, Payload: f.Payload}
					tt.change(&reply)
					p.Send(reply)
				}})
			})
			s := visitOf("16 in flight", strings.TrimPrefix(url, "ws://"), 1, false)
			complains(t, &s.Ledger, tt.want)
		})
	}
}

// TestVisits runs every behaviour against package server, and compares the expected Outcome
// with the real one. A server with other limits fails.
func TestVisits(t *testing.T) {
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(6) {
				compression := b.deflate && seed%2 == 1
				s, o := visitServer(t, b.name, seed, compression, server.Options{
					ReadLimit: readLimit, MessageTimeout: messageTimeout, WriteTimeout: writeTimeout,
					PingInterval: pingInterval, PingTimeout: pingTimeout, MaxMissed: maxMissed, CloseTimeout: closeTimeout,
				})
				s.Outcome(o)
				s.Balance(0)
				complains(t, &s.Ledger)
				if b.weight < 4 {
					break // these take seconds
				}
			}
		})
	}
	t.Run("another limit", func(t *testing.T) {
		t.Parallel()
		s, o := visitServer(t, "half a message", 0, false, server.Options{ReadLimit: 10})
		s.Outcome(o)
		if _, n := s.Problems(); n == 0 {
			t.Error("there is no complaint about a read limit of 10 bytes")
		}
	})
}

// visitServer runs a visit to a new server. It also returns the Outcome.
func visitServer(t *testing.T, name string, seed uint64, compression bool, o server.Options) (*Server, Outcome) {
	t.Helper()
	ends := make(chan server.Outcome, 1)
	o.OnEnd = func(o server.Outcome) { ends <- o }
	if compression {
		o.Compression = websocket.CompressionContextTakeover
	}
	srv, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, l) }()
	s := visitOf(name, l.Addr().String(), seed, compression)
	e := <-ends
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	return s, Outcome{
		Kind: e.Kind.String(), By: e.By.String(), Code: int(e.Code), Sent: int(e.Sent), Received: int(e.Received), ID: e.ID, Remote: e.RemoteAddr,
		MessagesIn: e.MessagesIn, MessagesOut: e.MessagesOut, BytesIn: e.BytesIn, BytesOut: e.BytesOut,
	}
}

// TestKinds: package ending has each expected kind.
func TestKinds(t *testing.T) {
	known := make(map[string]bool)
	for _, k := range ending.Kinds() {
		known[k.String()] = true
	}
	for _, k := range []string{"normal", "going away", "peer code", "abnormal", "reset", "truncated", "no pong", "write stalled",
		"protocol", "invalid utf-8", "too big", "too slow", "flood", "drained"} {
		if !known[k] {
			t.Errorf("there is no kind %q", k)
		}
	}
}

// TestCodec: inflate reverses deflate.
func TestCodec(t *testing.T) {
	c, err := negotiated([]string{"permessage-deflate"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		p := bytes.Repeat(text[:1000], 1+20*i)
		got, err := c.inflate(bytes.Join(c.deflate([][]byte{p[:10], p[10:]}), nil), true)
		if err != nil || !bytes.Equal(got, p) {
			t.Errorf("message %d: got %d bytes, %v, want %d", i, len(got), err, len(p))
		}
	}
	if c, err := negotiated(nil); c != nil || err != nil {
		t.Errorf("got %v, %v for no extension", c, err)
	}
	if _, err := negotiated([]string{"x-gzip"}); err == nil {
		t.Error("got no error for an extension that was not offered")
	}
	if _, err := c.inflate([]byte{0xff, 0xff}, true); err == nil {
		t.Error("inflate accepted invalid data")
	}
}
