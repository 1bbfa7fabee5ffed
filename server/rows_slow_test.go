package server_test

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// neverReads sends messages as long as the server reads them, and reads no echo. The
// write timeout ends the connection. Meanwhile the server uses little memory for it, and
// no other connection waits.
func neverReads(t *testing.T, w way) {
	const size = 1 << 20
	one := wstest.BinaryFrame(make([]byte, size)).WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	var quiet, busy time.Duration
	for range 3 { // a busy machine may fail one try
		s := w.serve(t, echoes, server.Options{WriteTimeout: time.Second, ReadLimit: size, PingInterval: -1})
		other := s.dial(t, wstest.DialOptions{Timeout: soon})
		quiet = p99(t, other, lasting(400*time.Millisecond))
		before := heap()
		p := s.dial(t, wstest.DialOptions{RcvBuf: 4096, Timeout: soon})
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for p.SendRaw(one) == nil {
			}
		}()
		grown := uint64(0)
		looked := lasting(500 * time.Millisecond)
		busy = p99(t, other, func() bool {
			if grown == 0 && looked() {
				grown = max(1, heap()-min(before, heap()))
			}
			return len(s.ends) > 0
		})
		if grown > 8*size {
			t.Errorf("the heap grew by %d bytes", grown)
		}
		o := s.end(t)
		wantKind(t, o, ending.WriteStalled)
		if o.By != ending.Local || o.Code != 0 || o.Sent != 0 {
			t.Errorf("got %+v, want no close code", o)
		}
		// The server has the message that it writes, and a buffer of the next.
		if held := o.BytesIn - o.BytesOut; held > size+server.DefaultBufferSize {
			t.Errorf("%d bytes were read that were not written", held)
		}
		if d := o.Ended.Sub(o.LastReceived); d > time.Second+soonGone {
			t.Errorf("it ended after %v", d)
		}
		<-sent
		if e, err := p.End(soon); err != nil || e.Code != 0 || !e.FIN && !e.RST {
			t.Errorf("the peer got %v, %v, want TCP to end without a close frame", e, err)
		}
		if busy <= max(10*quiet, 200*time.Millisecond) {
			return
		}
	}
	t.Errorf("the p99 of another connection went from %v to %v", quiet, busy)
}

// heap returns the memory in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// dripped sends a few bytes at a time, so data always arrives and a message is never
// complete.
func dripped(t *testing.T, w way) {
	const timeout = 500 * time.Millisecond
	const every = 20 * time.Millisecond
	o := server.Options{MessageTimeout: timeout, PingInterval: -1}
	body := append(wstest.Header(0x81, true, [4]byte{}, 1000, 0), bytes.Repeat([]byte("x"), 1000)...)
	for name, drip := range map[string]func(p *wstest.Peer, wire *tap) error{
		"payload": func(p *wstest.Peer, _ *tap) error { return p.Drip(body, every) },
		"fragments": func(p *wstest.Peer, _ *tap) error {
			err := p.Send(wstest.TextFrame("x").Open())
			for ; err == nil; err = p.Send(wstest.Frame{Payload: []byte("x")}) {
				time.Sleep(every)
			}
			return err
		},
		"a ping": func(p *wstest.Peer, _ *tap) error {
			ping := wstest.PingFrame(string(make([]byte, 125))).WithKey([4]byte{}).Append(nil)
			return p.Drip(ping, every)
		},
		"beneath": func(p *wstest.Peer, wire *tap) error { // an incomplete TLS record
			_ = p.SendRaw(body[:10])
			wire.onWrite = func(b []byte) (int, error) {
				for i := range b[:len(b)-1] {
					if _, err := wire.TCPConn.Write(b[i : i+1]); err != nil {
						return i, err
					}
					time.Sleep(every)
				}
				return len(b), nil
			}
			return p.SendRaw(body[10 : len(body)-1])
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.serve(t, echoes, o)
			p, wire := s.tapped(t, wstest.DialOptions{Timeout: soon})
			start := time.Now()
			gave := make(chan error, 1)
			go func() { gave <- drip(p, wire) }()
			got := s.refused(t, p, ending.TooSlow)
			if d := got.Ended.Sub(start); d < timeout || d > timeout+soonGone {
				t.Errorf("ended after %v, want %v or a little more", d, timeout)
			}
			if got.MessagesIn != 0 || got.MessagesOut != 0 {
				t.Errorf("got %d messages in, %d out", got.MessagesIn, got.MessagesOut)
			}
			if err := <-gave; err == nil {
				t.Error("the whole message was sent")
			}
		})
	}
	if !w.tls() {
		return
	}
	// Between messages the message timeout does not run. But an incomplete record is
	// no sign of life.
	t.Run("a record between messages", func(t *testing.T) {
		t.Parallel()
		s := w.serve(t, echoes, server.Options{PingInterval: 200 * time.Millisecond, MaxMissed: 1, CloseTimeout: longCloseTimeout})
		p, wire := s.tapped(t, wstest.DialOptions{Timeout: soon})
		gave := make(chan struct{})
		go func() {
			defer close(gave)
			for _, b := range append([]byte{23, 3, 3, 64, 0}, make([]byte, 1<<14)...) {
				if _, err := wire.TCPConn.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(every)
			}
		}()
		// With unread input TCP may end with a reset, after the close frame.
		e, err := p.End(soon)
		if err != nil || e.Code != 1001 || !e.FIN && !e.RST || e.After > 3*200*time.Millisecond+soonGone {
			t.Errorf("the peer got %v after %v, %v, want code 1001 and the end", e, e.After, err)
		}
		_ = p.Close()
		wantKind(t, s.end(t), ending.NoPong)
		<-gave
	})
}
