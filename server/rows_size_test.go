package server_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// tinyFragments sends an endless message in fragments of one or no byte. The server
// accepts as many as a correct peer may send, and refuses the next one.
func tinyFragments(t *testing.T, w way) {
	for name, tt := range map[string]struct {
		payload string
		most    int
	}{
		"empty":    {"", 1024},
		"one byte": {"x", 1170}, // the largest n that is at most 1024 + n/8
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.serve(t, echoes, server.Options{PingInterval: -1})
			tiny := wstest.Frame{Masked: true, Payload: []byte(tt.payload)}.Append(nil)
			most := wstest.TextFrame(tt.payload).Open().WithKey([4]byte{}).Append(nil)
			most = append(most, bytes.Repeat(tiny, tt.most-1)...)
			message := string(bytes.Repeat([]byte(tt.payload), tt.most))

			honest := s.dial(t, wstest.DialOptions{Timeout: soon})
			_ = honest.SendRaw(most[:len(most)-len(tiny)])
			send(t, honest, wstest.Frame{Fin: true, Payload: []byte(tt.payload)})
			receive(t, honest, wstest.Text, message)

			p := s.dial(t, wstest.DialOptions{Timeout: soon})
			_ = p.SendRaw(most)
			send(t, p, wstest.PingFrame("so far?"))
			if f, err := p.Recv(); err != nil || f.Opcode != wstest.Pong {
				t.Fatalf("after %d fragments: got %v, %v, want a pong", tt.most, f, err)
			}
			flooded := make(chan struct{})
			go func() {
				defer close(flooded)
				_ = p.SendRaw(bytes.Repeat(tiny, 100_000))
			}()
			o := s.refused(t, p, ending.Flood)
			if o.BytesIn != int64(len(message)) || o.MessagesIn != 0 || o.MessagesOut != 0 {
				t.Errorf("got %d bytes and %d messages in, %d out, want %d bytes", o.BytesIn, o.MessagesIn, o.MessagesOut, len(message))
			}
			<-flooded
		})
	}
}

// oversize announces a length over the limit, or an illegal length. The server refuses
// the header or its first illegal byte, before any payload.
func oversize(t *testing.T, w way) {
	const limit = 1000
	frame := func(first byte, size int) []byte {
		return append(wstest.Header(first, true, [4]byte{}, uint64(size), 0), make([]byte, size)...)
	}
	header := func(length uint64, bits int) []byte { return wstest.Header(0x82, true, [4]byte{}, length, bits) }
	for name, tt := range map[string]struct {
		limit int64
		send  []byte
		want  ending.Kind
	}{
		"2^63":                     {limit, header(1<<63, 64), ending.Protocol},
		"2^64-1":                   {limit, header(1<<64-1, 64), ending.Protocol},
		"2^63 without a limit":     {-1, header(1<<63, 64), ending.Protocol},
		"2^63-1":                   {limit, header(1<<63-1, 64), ending.TooBig},
		"2^62":                     {limit, header(1<<62, 64), ending.TooBig},
		"2^40":                     {limit, header(1<<40, 64), ending.TooBig},
		"the limit and one":        {limit, header(limit+1, 16), ending.TooBig},
		"in fragments":             {limit, append(frame(0x02, 600), wstest.Header(0x80, true, [4]byte{}, 401, 0)...), ending.TooBig},
		"2^63-1 in fragments":      {limit, append(frame(0x02, 600), wstest.Header(0x80, true, [4]byte{}, 1<<63-1, 64)...), ending.TooBig},
		"64 bits for what needs 7": {limit, append(header(5, 64), make([]byte, 5)...), ending.Protocol},
		"16 bits for what needs 7": {limit, append(header(125, 16), make([]byte, 125)...), ending.Protocol},
		"64 bits for 16":           {1 << 20, append(header(65535, 64), make([]byte, 65535)...), ending.Protocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.serve(t, echoes, server.Options{ReadLimit: tt.limit})
			p := s.dial(t, wstest.DialOptions{Timeout: soon})
			_ = p.SendRaw(tt.send)
			o := s.refused(t, p, tt.want)
			if o.MessagesIn != 0 || o.MessagesOut != 0 || o.BytesIn > 600 {
				t.Errorf("got %d messages in, %d out, %d bytes in", o.MessagesIn, o.MessagesOut, o.BytesIn)
			}
		})
	}
	t.Run("exactly the limit", func(t *testing.T) {
		t.Parallel()
		s := w.serve(t, echoes, server.Options{ReadLimit: limit})
		p := s.dial(t, wstest.DialOptions{Timeout: soon})
		for _, b := range [][]byte{frame(0x82, limit), append(frame(0x02, 600), frame(0x80, 400)...)} {
			_ = p.SendRaw(b)
			receive(t, p, wstest.Binary, string(make([]byte, limit)))
		}
	})
}

// announcedMemory announces long messages on many connections and sends little of them.
// The server uses memory only for received data.
func announcedMemory(t *testing.T, w way) {
	for name, tt := range map[string]struct {
		limit  int64
		length uint64
	}{
		"the limit":       {16 << 20, 16 << 20},
		"without a limit": {-1, 1 << 62},
	} {
		t.Run(name, func(t *testing.T) {
			const peers, sent = 64, 1000
			s := w.serve(t, echoes, server.Options{ReadLimit: tt.limit, MaxConns: -1, PingInterval: -1})
			var all []*wstest.Peer
			for range peers {
				all = append(all, s.dial(t, wstest.DialOptions{Timeout: soon}))
			}
			before := heap()
			for _, p := range all {
				_ = p.SendRaw(append(wstest.Header(0x82, true, [4]byte{}, tt.length, 64), make([]byte, sent)...))
			}
			eventually(t, "the bytes have come", func() bool {
				n := 0
				for i := range s.Connections() {
					if i.BytesIn == sent {
						n++
					}
				}
				return n == peers
			})
			// The echo starts with a buffer of 16 KiB. The connections share the
			// transport's buffers.
			if after := heap(); after > before+peers*128<<10 {
				t.Errorf("the heap grew by %d bytes for each of %d connections", (after-before)/peers, peers)
			}
			for _, p := range all {
				_ = p.RST()
			}
			for range all {
				wantKind(t, s.end(t), ending.Reset)
			}
		})
	}
}

// idleMemory has many idle connections that have echoed a large message. None keeps a
// buffer of the server. On both sides crypto/tls keeps a buffer of more than twice the
// size of a record.
func idleMemory(t *testing.T, w way) {
	const peers, size = 64, 200_000
	s := w.serve(t, echoes, server.Options{MaxConns: -1, PingInterval: -1})
	var all []*wstest.Peer
	for range peers {
		all = append(all, s.dial(t, wstest.DialOptions{Timeout: soon}))
	}
	before := heap()
	payload := make([]byte, size)
	for _, p := range all {
		send(t, p, wstest.BinaryFrame(payload))
		receive(t, p, wstest.Binary, string(payload))
	}
	after := heap()
	t.Logf("measured: %d bytes more for each of %d connections", (int64(after)-int64(before))/peers, peers)
	most := uint64(32 << 10)
	if w.tls() {
		most += 2 * 48 << 10
	}
	if after > before+peers*most {
		t.Errorf("the heap grew by %d bytes for each of %d connections", (after-before)/peers, peers)
	}
}

// closeHeldOpen announces a frame, sends part of it, and then nothing. No ending by
// the server waits for the remaining bytes.
func closeHeldOpen(t *testing.T, w way) {
	const sent = 40_000
	for name, tt := range map[string]struct {
		handler server.Handler // nil: an echo handler
		opts    server.Options
		end     func(s *testServer)
		want    ending.Kind
		code    uint16
	}{
		"drain": {nil, server.Options{}, func(s *testServer) { go func() { _ = s.stop() }() }, ending.Drained, 1001},
		"age":   {nil, server.Options{MaxAge: 200 * time.Millisecond}, nil, ending.Aged, 1001},
		"Close": {func(ctx context.Context, c *server.Conn) error {
			time.AfterFunc(200*time.Millisecond, func() { _ = c.Close(4000, "enough") })
			return echoes(ctx, c)
		}, server.Options{}, nil, ending.Closed, 4000},
		"the handler is done": {func(ctx context.Context, c *server.Conn) error {
			_, r, err := c.Reader(ctx)
			if err == nil {
				_, err = r.Read(make([]byte, sent/2))
			}
			return err
		}, server.Options{}, nil, ending.Done, 1000},
		"no pong": {nil, server.Options{PingInterval: 400 * time.Millisecond, MaxMissed: -1}, nil, ending.NoPong, 1001},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler := tt.handler
			if handler == nil {
				handler = echoes
			}
			o := tt.opts
			o.ReadLimit, o.MessageTimeout, o.CloseTimeout = -1, -1, longCloseTimeout
			s := w.serve(t, handler, o)
			p, wire := s.tapped(t, wstest.DialOptions{Timeout: soon})
			_ = p.SendRaw(append(wstest.Header(0x82, true, [4]byte{}, 1<<40, 64), make([]byte, sent)...))
			if w.tls() { // and an incomplete record
				_, _ = wire.TCPConn.Write([]byte{23, 3, 3, 64, 0, 1, 2, 3})
			}
			if tt.end != nil {
				eventually(t, "the bytes have come", func() bool {
					for i := range s.Connections() {
						return i.BytesIn == sent
					}
					return false
				})
				tt.end(s)
			}
			start := time.Now()
			got := s.end(t)
			if d := min(time.Since(got.Ended), time.Since(start)); d > soonGone {
				t.Errorf("it was closed %v later", d)
			}
			finish(t, p, tt.code)
			wantKind(t, got, tt.want)
			if uint16(got.Code) != tt.code || uint16(got.Sent) != tt.code || got.Received != 0 || got.MessagesIn != 0 {
				t.Errorf("got %+v, want code %d", got, tt.code)
			}
		})
	}
}
