package wstest_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/wstest"
)

// TestPongs: coder's client waits for its pongs.
func TestPongs(t *testing.T) {
	for _, tt := range []struct {
		fault wstest.Fault
		pongs int // of three pings
	}{{wstest.NoPong(), 0}, {wstest.PongsThenNone(2), 2}, {wstest.PongsThenNone(3), 3}, {wstest.WrongPong(), 0}} {
		t.Run(tt.fault.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := wstest.NewPipeServer(t, tt.fault)
				c := coderClient(t, s)
				reading := c.CloseRead(context.Background())
				pongs := 0
				for range 3 {
					ctx, cancel := context.WithTimeout(reading, time.Minute)
					if c.Ping(ctx) == nil {
						pongs++
					}
					cancel()
				}
				if pongs != tt.pongs {
					t.Errorf("got %d pongs, want %d", pongs, tt.pongs)
				}
			})
		})
	}
}

// TestLatePongsHaveBound: 64 pongs wait, and the later pings get none.
func TestLatePongsHaveBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wstest.NewPipeServer(t, wstest.LatePong(time.Minute), wstest.DropFIN().AfterTime(time.Hour))
		p := raw(t, s)
		for range 100 {
			check(t, p.Send(wstest.PingFrame("x")))
		}
		if end, err := p.End(2 * time.Hour); err != nil || end.Frames != 64 {
			t.Errorf("got %v, %v", end, err)
		}
		check(t, p.Close())
		if r := next(t, s); r.Pings != 100 {
			t.Errorf("got %v", r)
		}
	})
}

// TestDelayQueue: delayed echoes wait together, so a delay is no rate. Over 1 MiB of them
// stop the reads.
func TestDelayQueue(t *testing.T) {
	for _, tt := range []struct {
		messages, size int
		took           time.Duration
	}{{60, 10, time.Minute}, {3, 600 << 10, 2 * time.Minute}, {2, 1<<20 + 1, time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			s := wstest.NewPipeServer(t, wstest.Delay(time.Minute))
			p := raw(t, s)
			p.Timeout = time.Hour
			start := time.Now()
			go func() {
				for range tt.messages {
					p.Send(wstest.BinaryFrame(make([]byte, tt.size)))
				}
			}()
			for range tt.messages {
				if _, b, err := p.RecvMessage(); err != nil || len(b) != tt.size {
					t.Fatalf("got %d bytes, %v", len(b), err)
				}
			}
			if took := time.Since(start); took != tt.took {
				t.Errorf("took %v, want %v", took, tt.took)
			}
		})
	}
}

// TestStallRead: nothing is answered, and a write blocks when the buffers are full. The
// report comes when the client has ended.
func TestStallRead(t *testing.T) {
	t.Parallel()
	for _, kind := range servers[:2] {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := kind.start(t, wstest.StallRead())
			p := raw(t, s)
			p.Timeout = 300 * time.Millisecond
			var err error
			sent := 0
			for ; err == nil && sent < 64<<20; sent += 1 << 20 {
				err = p.SendRaw(make([]byte, 1<<20))
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v after %d bytes", err, sent)
			}
			check(t, p.RST())
			if r := next(t, s); r.Messages != 0 || r.Echoed != 0 {
				t.Errorf("got %v", r)
			}
		})
	}
	t.Run("pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := wstest.NewPipeServer(t, wstest.StallRead())
			c := coderClient(t, s)
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			if err := c.Write(ctx, websocket.MessageBinary, make([]byte, 100<<10)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if r := next(t, s); r.Messages != 0 || r.End.After != time.Hour {
				t.Errorf("got %v after %v", r, r.End.After)
			}
		})
	})
}

// TestHandshakeFaults shows them to coder's client.
func TestHandshakeFaults(t *testing.T) {
	for _, tt := range []struct {
		faults []wstest.Fault
		status int
		err    string
		took   time.Duration
		opened bool
	}{
		{nil, 101, "", 0, true},
		{[]wstest.Fault{wstest.Status(503)}, 503, "503", 0, false},
		{[]wstest.Fault{wstest.Status(304)}, 304, "304", 0, false},
		{[]wstest.Fault{wstest.WrongAccept()}, 101, "Sec-WebSocket-Accept", 3 * time.Second, true}, /* coder waits for a body */
		{[]wstest.Fault{wstest.Hold(time.Hour)}, 101, "", time.Hour, true},
		{[]wstest.Fault{wstest.Status(429), wstest.Hold(time.Minute)}, 429, "429", time.Minute, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := wstest.NewPipeServer(t, tt.faults...)
			start := time.Now()
			c, resp, err := websocket.Dial(context.Background(), s.URL, &websocket.DialOptions{HTTPClient: s.HTTPClient()})
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) || resp.StatusCode != tt.status {
				t.Errorf("%v: got %v, want %q", tt.faults, err, tt.err)
			}
			if took := time.Since(start); took != tt.took {
				t.Errorf("%v: took %v, want %v", tt.faults, took, tt.took)
			}
			if c != nil {
				check(t, c.Close(1000, ""))
			}
			if r := next(t, s); r.Opened != tt.opened || r.Request.RemoteAddr != "pipe" {
				t.Errorf("%v: got %v", tt.faults, r)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // the client sends before the answer
		s := wstest.NewPipeServer(t, wstest.Hold(time.Hour), wstest.WrongPong())
		p, err := wstest.RawDial(s.URL, wstest.DialOptions{Dial: s.Dial, Timeout: 2 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		start := time.Now()
		check(t, p.SendRaw(wstest.Request(s.URL, "", nil)))
		check(t, p.Send(wstest.PingFrame("")))
		_, err = p.ReadResponse()
		check(t, err)
		f, err := p.Recv()
		if took := time.Since(start); took != time.Hour || err != nil || f.String() != `pong "other"` {
			t.Errorf("got %v, %v after %v", f, err, took)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the server gives up
		s := wstest.NewPipeServer(t, wstest.Hold(time.Hour))
		time.AfterFunc(time.Minute, s.Close)
		p, err := wstest.Dial(s.URL, wstest.DialOptions{Dial: s.Dial, Timeout: time.Hour})
		if err == nil {
			t.Error("a handshake was answered")
			p.Close()
		}
		if r := next(t, s); r.Opened || !errors.Is(r.Err, net.ErrClosed) || strings.Contains(r.Err.Error(), "disconnected") {
			t.Errorf("got %v", r)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the client gives up
		s := wstest.NewPipeServer(t, wstest.Hold(time.Hour))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, _, err := websocket.Dial(ctx, s.URL, &websocket.DialOptions{HTTPClient: s.HTTPClient()}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if r := next(t, s); r.Opened || !strings.Contains(r.Err.Error(), "during Hold(1h0m0s)") {
			t.Errorf("got %v", r)
		}
	})
}

// TestHello: the first message has what the server sees.
func TestHello(t *testing.T) {
	for _, tt := range []struct {
		fault  wstest.Fault
		cookie string
	}{{wstest.Hello(), ""}, {wstest.HelloAll(), "a=b"}} {
		synctest.Test(t, func(t *testing.T) {
			s := wstest.NewPipeServer(t, tt.fault)
			p := dial(t, s.URL+"/x?y", wstest.DialOptions{Dial: s.Dial, Header: http.Header{"Cookie": {"a=b"}}, Subprotocols: []string{"one", "two"}})
			_, b, err := p.RecvMessage()
			var got struct {
				Host, URI, Remote, Subprotocol string
				Header                         http.Header
			}
			if err := errors.Join(err, json.Unmarshal(b, &got)); err != nil {
				t.Fatal(err)
			}
			if got.Header.Get("Cookie") != tt.cookie || got.URI != "/x?y" || got.Host != "pipe.invalid" || got.Subprotocol != "one" {
				t.Errorf("got %s", b)
			}
		})
	}
}

// TestReport has one row for each way in which a client can behave.
func TestReport(t *testing.T) {
	t.Parallel()
	text, ping := wstest.TextFrame("x"), wstest.PingFrame("x")
	closing := func(p *wstest.Peer) { p.Answer(context.Background(), wstest.AnswerOptions{}); p.Close() }
	send := func(f ...wstest.Frame) func(*wstest.Peer) {
		return func(p *wstest.Peer) { p.Send(f...); closing(p) }
	}
	for name, tt := range map[string]struct {
		client func(*wstest.Peer)
		want   string
	}{
		"close":         {send(text, ping, wstest.PongFrame(""), wstest.CloseFrame(1000, "bye")), `1 messages, 1 echoed, 1 pings, 1 pongs, close frame 1000 "bye", FIN, 4 frames`},
		"no code":       {send(wstest.CloseFrame(0, "")), `close frame 1005 "", FIN, 1 frames`},
		"FIN":           {func(p *wstest.Peer) { p.FIN(); closing(p) }, `no close frame, FIN, 0 frames`},
		"RST":           {func(p *wstest.Peer) { p.RST() }, `no close frame, RST, 0 frames`},
		"truncated":     {func(p *wstest.Peer) { p.SendRaw([]byte{0x81}); p.FIN(); closing(p) }, `no close frame, FIN inside a frame, 0 frames`},
		"fragments":     {send(append(wstest.Fragments(wstest.Text, "a", "b", "c"), wstest.CloseFrame(1000, ""))...), `1 messages, 1 echoed, 0 pings, 0 pongs, close frame 1000 "", FIN, 4 frames`},
		"not masked":    {func(p *wstest.Peer) { p.NoMask = true; p.Send(text); closing(p) }, `violation: a frame of a client is not masked`},
		"reserved bit":  {send(text.WithRsv(wstest.RSV1)), `violation: a frame has a reserved bit, and no extension was agreed on`},
		"opcode":        {send(wstest.Frame{Fin: true, Opcode: 11}), `violation: a frame has the reserved opcode 0xb`},
		"data opcode":   {send(wstest.Frame{Fin: true, Opcode: 5}), `violation: a frame has the reserved opcode 0x5`},
		"open ping":     {send(ping.Open()), `violation: a control frame is a fragment`},
		"long ping":     {send(wstest.PingFrame(strings.Repeat("x", 126))), `violation: a control frame is longer than 125 bytes`},
		"close code":    {send(wstest.CloseFrame(1005, "")), `violation: a close frame with the code 1005`},
		"close UTF-8":   {send(wstest.CloseFrame(1000, "\xff")), `violation: a close reason that is not UTF-8`},
		"continuation":  {send(wstest.Frame{Fin: true}), `violation: a continuation frame is outside of a message`},
		"two messages":  {send(text.Open(), text), `violation: a message begins inside another one`},
		"UTF-8":         {send(wstest.TextFrame("\xff")), `violation: a text message is not UTF-8`},
		"long frame":    {func(p *wstest.Peer) { p.SendRaw(wstest.Header(0x82, true, [4]byte{}, 1<<40, 0)); closing(p) }, `violation: a message is longer than 16 MiB`},
		"after a close": {send(wstest.CloseFrame(1000, ""), text), `close frame 1000 "", FIN, 2 frames`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := wstest.NewPipeServer(t)
			tt.client(raw(t, s))
			r := next(t, s)
			if !strings.Contains(r.String(), tt.want) || r.Err != nil {
				t.Errorf("got %v, want %s", r, tt.want)
			}
		})
	}
}

// TestReportWithoutWebSocket: a client that opens none has a report too.
func TestReportWithoutWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wstest.NewPipeServer(t)
		start := time.Now()
		c, err := s.Dial("", "")
		check(t, err)
		if r := next(t, s); r.Opened || !errors.Is(r.Err, os.ErrDeadlineExceeded) || time.Since(start) != wstest.DefaultTimeout {
			t.Errorf("got %v after %v", r, time.Since(start))
		}
		check(t, c.Close())
		resp, err := s.HTTPClient().Get("http" + strings.TrimPrefix(s.URL, "ws"))
		check(t, err)
		check(t, resp.Body.Close())
		if r := next(t, s); r.Opened || resp.StatusCode != 400 || !strings.Contains(r.Err.Error(), "GET / is no opening handshake") {
			t.Errorf("got %v", r)
		}
	})
	s := wstest.NewTLSServer(t)
	if _, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "wss://"), nil); err == nil {
		t.Error("a client without the certificate has connected")
	}
	if r := next(t, s); r.Opened || r.Err == nil || r.Request != nil {
		t.Errorf("got %v", r)
	}
}

// TestUnfinishedClient: a client that does not end its side is reported after five seconds.
func TestUnfinishedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wstest.NewPipeServer(t, wstest.CloseWith(1001, "").After(1), wstest.PingEvery(time.Second))
		p := raw(t, s)
		time.Sleep(3500 * time.Millisecond)
		check(t, p.Send(wstest.TextFrame("x")))
		r := next(t, s)
		if !errors.Is(r.Err, os.ErrDeadlineExceeded) || r.End.After != 8500*time.Millisecond || r.PingsSent != 3 || r.Fault == "" {
			t.Errorf("got %v after %v", r, r.End.After)
		}
	})
}

// TestHangingClients: the end of a test is not delayed by clients that do not read, do not
// write, or hang before the handshake.
func TestHangingClients(t *testing.T) {
	t.Parallel()
	for _, kind := range servers {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			t.Run("test", func(t *testing.T) {
				s := kind.start(t, wstest.Delay(time.Hour), wstest.Send(1, time.Hour))
				c, err := s.Dial("", "")
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				raw(t, s)
				p := raw(t, s)
				check(t, p.Send(wstest.TextFrame("x")))
				stuck := kind.start(t) // in a write
				_, config := wstest.TLS()
				o := wstest.DialOptions{TLS: config, RcvBuf: 4 << 10}
				if kind.name == "pipe" {
					o.Dial = stuck.Dial
				}
				flood := dial(t, stuck.URL, o)
				flood.Timeout = 100 * time.Millisecond
				big := append(wstest.Header(0x80|wstest.Binary, true, [4]byte{}, 8<<20, 0), make([]byte, 8<<20)...)
				for err == nil {
					err = flood.SendRaw(big)
				}
				if got := s.Open(); got != 3 && got != 2 {
					t.Errorf("got %d open connections", got)
				}
				s.Close()
				for range 3 {
					if r := next(t, s); !errors.Is(r.Err, net.ErrClosed) {
						t.Errorf("got %v", r)
					}
				}
				if got := s.Open(); got != 0 {
					t.Errorf("got %d open connections", got)
				}
				if _, err := s.Dial("", ""); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("got %v", err)
				}
			})
			if took := time.Since(start); took > 9*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestManyClients: clients of one server do not disturb each other, and SetFaults concerns
// later ones.
func TestManyClients(t *testing.T) {
	t.Parallel()
	s := wstest.NewServer(t, wstest.CloseWith(4001, "").After(10))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			c, _, err := websocket.Dial(context.Background(), s.URL, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			for err == nil {
				if err = c.Write(context.Background(), websocket.MessageText, []byte("x")); err == nil {
					_, _, err = c.Read(context.Background())
				}
			}
			if websocket.CloseStatus(err) != 4001 {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for range 20 {
		if r := next(t, s); r.Echoed != 10 || r.End.Code != 4001 {
			t.Errorf("got %v", r)
		}
	}
	s.SetFaults()
	c := coderClient(t, s)
	check(t, c.Close(1000, "done"))
	if r := next(t, s); r.Fault != "" || r.End.Reason != "done" {
		t.Errorf("got %v", r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "0 are open") {
		t.Errorf("got %v", err)
	}
}

// failedTB is a test that has failed. It keeps the log and runs the cleanups in run.
type failedTB struct {
	testing.TB
	cleanups []func()
	log      strings.Builder
}

func (tb *failedTB) Failed() bool                 { return true }
func (tb *failedTB) Cleanup(f func())             { tb.cleanups = append(tb.cleanups, f) }
func (tb *failedTB) Logf(format string, a ...any) { fmt.Fprintf(&tb.log, format+"\n", a...) }
func (tb *failedTB) run() {
	for _, f := range slices.Backward(tb.cleanups) {
		f()
	}
}

// TestFailedTest: a test that has failed logs the reports that it has not read.
func TestFailedTest(t *testing.T) {
	t.Parallel()
	tb := &failedTB{TB: t}
	s := wstest.NewPipeServer(tb, wstest.DropRST())
	raw(t, s)
	next(t, s)
	for range 20 {
		c, err := s.Dial("", "")
		check(t, err)
		check(t, c.Close())
	}
	tb.run()
	if got := tb.log.String(); strings.Count(got, "wstest: a connection has ended: not opened, no close frame, 0 frames, ") != 10 {
		t.Errorf("got %s", got)
	}
}

// TestTooManyClients: the 1001st connection is closed.
func TestTooManyClients(t *testing.T) {
	t.Parallel()
	s := wstest.NewPipeServer(t)
	for range 1000 {
		if _, err := s.Dial("", ""); err != nil {
			t.Fatal(err)
		}
	}
	for start := time.Now(); s.Open() < 1000 && time.Since(start) < soon; {
		time.Sleep(time.Millisecond)
	}
	c, err := s.Dial("", "")
	check(t, err)
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v", err)
	}
	if r := next(t, s); r.Err == nil || !strings.Contains(r.Err.Error(), "more than 1000") {
		t.Errorf("got %v", r)
	}
}
