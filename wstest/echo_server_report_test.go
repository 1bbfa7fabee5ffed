package wstest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/wstest"
)

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

// TestNextAfterClose: the reports of the connections that Close has ended come, and then an
// error.
func TestNextAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wstest.NewPipeServer(t)
		raw(t, s)
		waiting := make(chan error)
		go func() {
			next(t, s)
			_, err := s.Next(context.Background())
			waiting <- err
		}()
		synctest.Wait()
		s.Close()
		if err := <-waiting; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
		if _, err := s.Next(context.Background()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
	})
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
