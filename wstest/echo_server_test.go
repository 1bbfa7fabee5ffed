package wstest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/wstest"
)

// soon bounds each wait of a test. A test that passes never waits that long.
const soon = 20 * time.Second

// next returns the next report.
func next(t *testing.T, s *wstest.EchoServer) wstest.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	r, err := s.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// raw returns a raw client of s.
func raw(t *testing.T, s *wstest.EchoServer) *wstest.Peer {
	t.Helper()
	_, config := wstest.TLS()
	return dial(t, s.URL, wstest.DialOptions{Dial: s.Dial, TLS: config})
}

// frames returns what a raw client receives until the stream ends: the frames, and FIN, RST
// or a truncated frame. The client sends four texts and a ping, one after the other, and
// answers the close frame.
func frames(p *wstest.Peer) (got []string) {
	for i := range 4 {
		p.Send(wstest.TextFrame(fmt.Sprint("text ", i)))
	}
	p.Send(wstest.PingFrame("ping"))
	end, err := p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
		got = append(got, f.String())
		if f.Opcode == wstest.Pong || len(got) == 4 && f.Opcode == wstest.Text {
			p.Send(wstest.CloseFrame(1000, ""))
		}
	}})
	p.Close()
	switch {
	case err != nil:
		got = append(got, err.Error())
	case end.Truncated:
		got = append(got, "truncated")
	}
	switch {
	case end.RST:
		got = append(got, "RST")
	case end.CloseNotify:
		got = append(got, "close_notify")
	case end.FIN:
		got = append(got, "FIN")
	}
	return got
}

// servers are the three kinds of servers.
var servers = []struct {
	name  string
	start func(testing.TB, ...wstest.Fault) *wstest.EchoServer
}{{"TCP", wstest.NewServer}, {"TLS", wstest.NewTLSServer}, {"pipe", wstest.NewPipeServer}}

// TestFaultFrames has one row for each fault that changes frames or the end of the stream.
func TestFaultFrames(t *testing.T) {
	t.Parallel()
	echoes := `text "text 0", text "text 1", text "text 2", text "text 3"`
	closes := `, close "\x03\xe8", FIN`
	all := echoes + `, pong "ping"` + closes
	for _, tt := range []struct {
		faults []wstest.Fault
		want   string
	}{
		{nil, all},
		{[]wstest.Fault{wstest.CloseWith(4001, "bye").After(2)}, `text "text 0", text "text 1", close "\x0f\xa1bye", FIN`},
		{[]wstest.Fault{wstest.CloseWith(4001, "")}, `close "\x0f\xa1", FIN`},
		{[]wstest.Fault{wstest.DropFIN().After(1)}, `text "text 0", FIN`},
		{[]wstest.Fault{wstest.Truncate().After(1)}, `text "text 0", truncated, FIN`},
		{[]wstest.Fault{wstest.DropFIN().After(3), wstest.Garbage().After(2), wstest.BadUTF8().After(1)},
			`text "text 0", text "ba\xffd", text "text 1", opcode 0x3 "", text "text 2", FIN`},
		{[]wstest.Fault{wstest.CloseWith(1001, "").After(1), wstest.Garbage().After(1), wstest.BadUTF8().After(1)},
			`text "text 0", text "ba\xffd", opcode 0x3 "", close "\x03\xe9", FIN`},
		{[]wstest.Fault{wstest.PongsThenNone(1)}, all},
		{[]wstest.Fault{wstest.WrongPong()}, echoes + `, pong "qing"` + closes},
		{[]wstest.Fault{wstest.Fragment(4), wstest.CloseWith(1000, "").After(1)},
			`text without fin "text", continuation " 0", close "\x03\xe8", FIN`},
		{[]wstest.Fault{wstest.Mask(), wstest.CloseWith(1000, "").After(1)}, `text masked "text 0", close masked "\x03\xe8", FIN`},
		{[]wstest.Fault{wstest.SlowRead(5000), wstest.SlowWrite(5000)}, all},
	} {
		for _, kind := range servers {
			t.Run(fmt.Sprint(tt.faults, kind.name), func(t *testing.T) {
				t.Parallel()
				s := kind.start(t, tt.faults...)
				got := strings.Join(frames(raw(t, s)), ", ")
				want := tt.want
				if kind.name == "TLS" && strings.Contains(want, "close ") {
					want = strings.Replace(want, "FIN", "close_notify", 1) // which a drop leaves out
				}
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if r := next(t, s); !r.Opened || r.Violation != "" {
					t.Errorf("got %v", r)
				}
			})
		}
	}
}

// TestDropRST: a raw client and coder's client see a reset.
func TestDropRST(t *testing.T) {
	t.Parallel()
	for _, kind := range servers {
		s := kind.start(t, wstest.DropRST().After(1))
		p := raw(t, s)
		check(t, p.Send(wstest.TextFrame("x")))
		if end, err := p.End(soon); err != nil || !end.RST || end.Frames > 1 {
			t.Errorf("%s: got %v, %v", kind.name, end, err)
		}
		if r := next(t, s); r.Fault != "DropRST().After(1)" || r.Echoed != 1 || !errors.Is(r.Err, net.ErrClosed) {
			t.Errorf("%s: got %v", kind.name, r)
		}
		c := coderClient(t, s)
		check(t, c.Write(context.Background(), websocket.MessageText, []byte("x")))
		_, _, err := c.Read(context.Background())
		if err == nil {
			_, _, err = c.Read(context.Background())
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: got %v", kind.name, err)
		}
	}
}

func coderClient(t *testing.T, s *wstest.EchoServer) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(context.Background(), s.URL, &websocket.DialOptions{HTTPClient: s.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// TestFaultTimes checks the faults of time with the clock of a bubble.
func TestFaultTimes(t *testing.T) {
	ctx := context.Background()
	echo := func(c *websocket.Conn) error {
		if err := c.Write(ctx, websocket.MessageText, make([]byte, 1000)); err != nil {
			return err
		}
		_, _, err := c.Read(ctx)
		return err
	}
	read := func(c *websocket.Conn) error { _, _, err := c.Read(ctx); return err }
	ping := func(c *websocket.Conn) error { ctx := c.CloseRead(ctx); return c.Ping(ctx) }
	for _, tt := range []struct {
		fault wstest.Fault
		do    func(*websocket.Conn) error
		least time.Duration
		most  time.Duration
		err   string // in the error of do
	}{
		{wstest.Delay(time.Minute), echo, time.Minute, time.Minute, ""},
		{wstest.Delay(time.Minute), ping, 0, 0, ""},
		{wstest.Jitter(time.Minute), echo, 0, time.Minute, ""},
		{wstest.LatePong(2 * time.Second), ping, 2 * time.Second, 2 * time.Second, ""},
		{wstest.CloseWith(1001, "bye").AfterTime(time.Hour), read, time.Hour, time.Hour, "StatusGoingAway"},
		{wstest.DropFIN().AfterTime(time.Hour), read, time.Hour, time.Hour, "EOF"},
		{wstest.DropRST().AfterTime(time.Hour), read, time.Hour, time.Hour, "reset by peer"},
		{wstest.Truncate().AfterTime(time.Hour), read, time.Hour, time.Hour, "EOF"},
		{wstest.Garbage().AfterTime(time.Hour), read, time.Hour, time.Hour, "opcode"},
		{wstest.BadUTF8().AfterTime(time.Hour), read, time.Hour, time.Hour, ""}, // coder does not check it
		{wstest.SlowWrite(100), echo, 9 * time.Second, 11 * time.Second, ""},
		{wstest.SlowRead(100), echo, 9 * time.Second, 11 * time.Second, ""},
		{wstest.Send(3, time.Minute), func(c *websocket.Conn) error { return errors.Join(read(c), read(c), read(c)) }, 3 * time.Minute, 3 * time.Minute, ""},
		{wstest.Hello(), read, 0, 0, ""},
		{wstest.Fragment(3), echo, 0, 0, ""},
		{wstest.Mask(), echo, 0, 0, ""}, // coder does not refuse it
		{wstest.PingEvery(time.Minute), func(c *websocket.Conn) error {
			c.CloseRead(ctx)
			time.Sleep(time.Hour + time.Second)
			return c.Close(1000, "")
		}, time.Hour + time.Second, time.Hour + time.Second, ""},
	} {
		t.Run(tt.fault.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := wstest.NewPipeServer(t, tt.fault)
				c := coderClient(t, s)
				start := time.Now()
				err := tt.do(c)
				if took := time.Since(start); took < tt.least || took > tt.most {
					t.Errorf("took %v, want %v to %v", took, tt.least, tt.most)
				}
				if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				c.CloseNow()
				if r := next(t, s); r.Violation != "" || r.PingsSent != r.Pongs || strings.HasPrefix(tt.fault.String(), "Ping") && r.Pongs != 60 {
					t.Errorf("got %v", r)
				}
			})
		})
	}
}
