package fault_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestEnds: close, drop and truncate end the connection as requested, after as many
// messages as requested. The Outcome and the log name the fault.
func TestEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path  string
		after int // messages
		fault string
		end   wstest.End // what the peer gets
		sent  uint16
	}{
		{"/?close=4001", 0, "close=4001", wstest.End{Code: 4001, FIN: true}, 4001},
		{"/?token=x&reason=bye%20now&close=1013&after=2", 2, "close=1013&after=2", wstest.End{Code: 1013, Reason: "bye now", FIN: true}, 1013},
		{"/close/4001?after=1", 1, "close=4001&after=1", wstest.End{Code: 4001, FIN: true}, 4001},
		{"/chat?close=1001&after=20ms", 0, "close=1001&after=20ms", wstest.End{Code: 1001, FIN: true}, 1001},
		{"/?drop=fin", 0, "drop=fin", wstest.End{FIN: true}, 0},
		{"/?drop=fin&after=3", 3, "drop=fin&after=3", wstest.End{FIN: true}, 0},
		{"/?drop=fin&after=20ms", 0, "drop=fin&after=20ms", wstest.End{FIN: true}, 0},
		{"/?drop=rst&after=1", 1, "drop=rst&after=1", wstest.End{RST: true}, 0},
		{"/?drop=rst&after=20ms", 0, "drop=rst&after=20ms", wstest.End{RST: true}, 0},
		{"/?truncate=1&after=2", 2, "truncate=1&after=2", wstest.End{FIN: true, Truncated: true}, 0},
		{"/?truncate=1&drop=rst&after=1", 1, "drop=rst&truncate=1&after=1", wstest.End{RST: true, Truncated: true}, 0},
		{"/?truncate=1&after=20ms", 0, "truncate=1&after=20ms", wstest.End{FIN: true, Truncated: true}, 0},
	} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			s := serve(t, server.Options{})
			p := s.dial(t, tt.path)
			for range tt.after {
				exchange(t, p, "héllo")
			}
			ended := make(chan wstest.End, 1)
			if tt.end.Code == 0 {
				e, err := p.End(soon)
				if err != nil {
					t.Fatal(err)
				}
				ended <- e
			} else {
				e, err := p.Answer(t.Context(), wstest.AnswerOptions{})
				if err != nil {
					t.Fatal(err)
				}
				ended <- e
			}
			e := <-ended
			if e.Code != tt.end.Code || e.Reason != tt.end.Reason || e.FIN != tt.end.FIN || e.RST != tt.end.RST || e.Truncated != tt.end.Truncated {
				t.Errorf("the peer got %v, want %v", e, tt.end)
			}
			o := s.outcome(t)
			if o.Kind != ending.Closed || o.By != ending.Local || uint16(o.Sent) != tt.sent || uint16(o.Code) != tt.sent || o.Fault != tt.fault || o.MessagesOut != int64(tt.after) {
				t.Errorf("got %+v", o)
			}
			if log := s.log.String(); !strings.Contains(log, "kind=closed by=local") || !strings.Contains(log, "fault=\""+tt.fault+"\"") {
				t.Errorf("got the log\n%s", log)
			}
		})
	}
}

// TestEndsDuringWrite: an end at a time does not wait for the slow write in progress.
func TestEndsDuringWrite(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]wstest.End{
		"/?drop=fin&after=100ms&write=slow:10B/s":            {FIN: true, Truncated: true},
		"/?drop=rst&after=100ms&write=slow:10B/s":            {RST: true, Truncated: true},
		"/?truncate=1&after=100ms&write=slow:10B/s":          {FIN: true, Truncated: true},
		"/?truncate=1&drop=rst&after=100ms&write=slow:10B/s": {RST: true, Truncated: true},
		"/?hello=1&drop=rst&after=100ms&write=slow:10B/s":    {RST: true, Truncated: true},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := serve(t, server.Options{})
			for attempt := 1; ; attempt++ {
				p := s.dial(t, path)
				send(t, p, wstest.TextFrame(strings.Repeat("x", 5000))) // an echo takes 500 s
				e, err := p.End(soon)
				if o := s.outcome(t); o.Kind != ending.Closed || o.By != ending.Local || o.Sent != 0 {
					t.Errorf("got %+v", o)
				}
				if err == nil && !e.Truncated && attempt < 20 {
					continue // on a busy machine the end may come before the write begins
				}
				if err != nil || e.FIN != want.FIN || e.RST != want.RST || e.Truncated != want.Truncated {
					t.Errorf("got %v, %v, want %v", e, err, want)
				}
				return
			}
		})
	}
}

// TestEndsTLS: under TLS, drop ends TCP without a close_notify.
func TestEndsTLS(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config, client := wstest.TLS()
	s := serveOn(t, tls.NewListener(l, config), server.Options{})
	s.url = "wss" + strings.TrimPrefix(s.url, "ws")
	for path, want := range map[string]wstest.End{
		"/?drop=fin&after=1": {FIN: true},
		"/?drop=rst&after=1": {RST: true},
	} {
		p := s.dialWith(t, path, wstest.DialOptions{TLS: client})
		exchange(t, p, "x")
		e, err := p.End(soon)
		if err != nil || e.FIN != want.FIN || e.RST != want.RST || e.CloseNotify {
			t.Errorf("%s: got %v, %v, want %v", path, e, err, want)
		}
		if o := s.outcome(t); o.Kind != ending.Closed || o.Sent != 0 {
			t.Errorf("%s: got %+v", path, o)
		}
	}
}

// TestTLS: faults beneath the frames work over TLS, which ends with a close_notify.
func TestTLS(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config, client := wstest.TLS()
	s := serveOn(t, tls.NewListener(l, config), server.Options{})
	s.url = "wss" + strings.TrimPrefix(s.url, "ws")
	p := s.dialWith(t, "/?fragment=5&read=slow:1MiB/s&write=slow:1MiB/s&pong=other", wstest.DialOptions{TLS: client})
	send(t, p, wstest.TextFrame("hello, TLS"), wstest.PingFrame("abc"), wstest.CloseFrame(1000, ""))
	for _, f := range wstest.Fragments(wstest.Text, "hello", ", TLS") {
		receive(t, p, f)
	}
	receive(t, p, wstest.PongFrame("`bc"))
	if e, err := p.End(soon); err != nil || e.Code != 1000 || !e.CloseNotify || !e.FIN {
		t.Errorf("got %v, %v", e, err)
	}
	_ = p.Close()
	if o := s.outcome(t); o.Kind != ending.Normal || o.Sent != 1000 {
		t.Errorf("got %+v", o)
	}
}

// TestNoFault: a request without a parameter of the package is served as usual.
func TestNoFault(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	for _, path := range []string{"/", "/?token=%zz&x=1", "/closed/4001", "/close"} {
		p := s.dial(t, path)
		exchange(t, p, "x")
		send(t, p, wstest.CloseFrame(1000, ""))
		receive(t, p, wstest.CloseFrame(1000, ""))
		if o := s.outcome(t); o.Fault != "" || o.Kind != ending.Normal {
			t.Errorf("%s: got %+v", path, o)
		}
	}
	if log := s.log.String(); strings.Contains(log, "fault=") {
		t.Errorf("got the log\n%s", log)
	}
}

// TestOtherEnds checks that each other ending ends a connection with a fault and its
// timers. These are the server's limits, its drain and the peer.
func TestOtherEnds(t *testing.T) {
	t.Parallel()
	const faults = "/?close=4001&after=1h&pong=late:1h&ping=1h&send=9&every=1h&read=slow:1MiB/s&write=slow:1MiB/s&fragment=9"
	t.Run("peer", func(t *testing.T) {
		t.Parallel()
		s := serve(t, server.Options{})
		p := s.dial(t, faults)
		send(t, p, wstest.PingFrame("x"), wstest.CloseFrame(4002, "bye"))
		receive(t, p, wstest.CloseFrame(4002, "bye"))
		if o := s.outcome(t); o.Code != 4002 || o.By != ending.Peer || o.Fault == "" {
			t.Errorf("got %+v", o)
		}
	})
	for _, path := range []string{faults, "/?delay=1h", "/?read=stall", "/?read=slow:1B/s", "/?write=slow:1B/s"} {
		t.Run("age "+path, func(t *testing.T) {
			t.Parallel()
			s := serve(t, server.Options{MaxAge: 100 * time.Millisecond})
			p := s.dial(t, path)
			_ = p.Send(wstest.TextFrame("a message")) // on a busy machine the connection may have ended
			if _, err := p.End(soon); err != nil {
				t.Error(err)
			}
			if o := s.outcome(t); o.Kind != ending.Aged {
				t.Errorf("got %+v", o)
			}
		})
	}
}

// TestDrainDelayed: a drain does not wait for delayed messages, and discards them.
func TestDrainDelayed(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	p := s.dial(t, "/?delay=1h")
	send(t, p, wstest.TextFrame("a message"), wstest.PingFrame("x"))
	receive(t, p, wstest.PongFrame("x"))
	s.stop()
	if e, err := p.Answer(t.Context(), wstest.AnswerOptions{}); err != nil || e.Code != 1001 {
		t.Errorf("got %+v, %v", e, err)
	}
	if o := s.outcome(t); o.Kind != ending.Drained || o.MessagesIn != 1 || o.MessagesOut != 0 || o.Fault != "delay=1h" {
		t.Errorf("got %+v", o)
	}
}

// TestLongDelay: a message over 16 KiB does not occupy the memory budget for an hour.
func TestLongDelay(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	p := s.dial(t, "/?delay=20m&jitter=20m")
	send(t, p, wstest.TextFrame(strings.Repeat("x", 16<<10+1)))
	e, err := p.Answer(t.Context(), wstest.AnswerOptions{})
	if err != nil || e.Code != 1009 || e.Reason != "an echo with the requested delay and rate takes over 34m8s" {
		t.Errorf("got %+v, %v", e, err)
	}
}

// TestDropFIN: a peer that continues to send gets FIN, not RST, and the reason stays that
// of the fault.
func TestDropFIN(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	for _, path := range []string{"/?drop=fin&after=2", "/?drop=fin&after=2&read=slow:4KiB/s", "/?drop=fin&after=10ms", "/?truncate=1&after=10ms&read=stall"} {
		p := s.dial(t, path)
		if err := p.Send(wstest.TextFrame("1"), wstest.TextFrame("2"), wstest.TextFrame(strings.Repeat("x", 50_000))); err != nil {
			t.Fatal(err)
		}
		if e, err := p.End(soon); err != nil || !e.FIN || e.Code != 0 {
			t.Errorf("%s: got %v, %v, want FIN", path, e, err)
		}
		_ = p.Close()
		if o := s.outcome(t); o.Kind != ending.Closed || o.By != ending.Local || o.Sent != 0 {
			t.Errorf("%s: got %+v", path, o)
		}
	}
}
