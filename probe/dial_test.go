package probe_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"example.com/wsecho/probe"
	"example.com/wsecho/wstest"
)

// TestDial checks the end of a Conn, for each side that can begin it.
func TestDial(t *testing.T) {
	t.Parallel()
	sends := func(frames ...wstest.Frame) func(*wstest.Peer) {
		return func(p *wstest.Peer) {
			_ = p.Send(frames...)
			_, _ = p.Answer(context.Background(), wstest.AnswerOptions{})
		}
	}
	answers := func(o wstest.AnswerOptions) func(*wstest.Peer) {
		return func(p *wstest.Peer) { _, _ = p.Answer(context.Background(), o) }
	}
	closes := func(code websocket.StatusCode, reason string) func(*probe.Conn) probe.End {
		return func(c *probe.Conn) probe.End {
			limit := waitLimit
			if code == 1002 { // no answer comes
				limit = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			return c.Close(ctx, code, reason)
		}
	}
	ended := func(c *probe.Conn) probe.End { return c.Ended(nil) }
	for name, test := range map[string]struct {
		server func(*wstest.Peer)
		limit  int64
		end    func(*probe.Conn) probe.End
		want   probe.End
	}{
		"closed":      {wstest.Echo, 0, closes(4000, "bye"), probe.End{Ending: ending.Ending{Kind: ending.Closed, By: ending.Local, Code: 4000, Reason: "bye"}, Sent: 4000, Received: 4000}},
		"other code":  {answers(wstest.AnswerOptions{Code: 1011}), 0, closes(1000, ""), probe.End{Ending: ending.Ending{Kind: ending.Closed, By: ending.Local, Code: 1000}, Sent: 1000, Received: 1011}},
		"no answer":   {answers(wstest.AnswerOptions{NoClose: true}), 0, closes(1002, ""), probe.End{Ending: ending.Ending{Kind: ending.Closed, By: ending.Local, Code: 1002}, Sent: 1002}},
		"by the peer": {sends(wstest.CloseFrame(1001, "later")), 0, ended, probe.End{Ending: ending.Ending{Kind: ending.GoingAway, By: ending.Peer, Code: 1001, Reason: "later"}, Sent: 1001, Received: 1001}},
		"too big":     {sends(wstest.TextFrame("four")), 3, ended, probe.End{Ending: ending.Ending{Kind: ending.TooBig, By: ending.Local, Code: 1009}, Sent: 1009}},
		"UTF-8":       {sends(wstest.TextFrame("\xff")), 0, ended, probe.End{Ending: ending.Ending{Kind: ending.InvalidUTF8, By: ending.Local, Code: 1007}, Sent: 1007}},
		"mask":        {sends(wstest.TextFrame("a").WithKey([4]byte{1})), 0, ended, probe.End{Ending: ending.Ending{Kind: ending.Protocol, By: ending.Local, Code: 1002}, Sent: 1002}},
		"verdict": {wstest.Silent, 0, func(c *probe.Conn) probe.End { return c.Ended(&ending.Error{Kind: ending.NoPong}) },
			probe.End{Ending: ending.Ending{Kind: ending.NoPong, By: ending.Local, Code: 1001}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, r, err := probe.Dial(t.Context(), wstest.Serve(t, test.server), probe.ConnOptions{ReadLimit: test.limit, Connect: probe.Options{Timeout: waitLimit}})
			if err != nil {
				t.Fatal(err)
			}
			read := make(chan struct{})
			go func() {
				defer close(read)
				for {
					if _, _, err := c.Read(); err != nil {
						return
					}
				}
			}()
			got := test.end(c)
			<-read
			if got.Age <= 0 || len(r.Steps) != 2 {
				t.Errorf("age %v, report %+v", got.Age, r)
			}
			got.Age, got.Cause = 0, nil
			if got != test.want {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// TestDialStalled checks the end of a Conn whose server does not read, in synthetic time.
func TestDialStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		defer close(stop)
		o := probe.ConnOptions{Connect: probe.Options{DialContext: pipe(func(*wstest.Peer) { <-stop })}}
		c, _, err := probe.Dial(t.Context(), "ws://a.example/", o)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _, _ = c.Read() }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Write(ctx, websocket.MessageBinary, make([]byte, 1<<20)); err == nil {
			t.Error("the write has succeeded")
		}
		if end := c.Ended(nil); end.Kind != ending.WriteStalled || end.By != ending.Local || end.Age != time.Minute {
			t.Errorf("got %+v, want a stalled write", end)
		}
	})
}

// TestDialTalk checks messages, pings and the signs of life.
func TestDialTalk(t *testing.T) {
	t.Parallel()
	m, err := heartbeat.New(heartbeat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pinged := make(chan string, 1)
	url := wstest.Serve(t, func(p *wstest.Peer) {
		if p.Send(wstest.PingFrame("there?")) == nil {
			wstest.Echo(p)
		}
	})
	c, _, err := probe.Dial(t.Context(), url, probe.ConnOptions{Heartbeat: m, OnPing: func(b []byte) { pinged <- string(b) }})
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan []byte, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			_, b, err := c.Read()
			if err != nil {
				return
			}
			messages <- b
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := <-messages; !bytes.Equal(got, []byte("hello")) {
		t.Errorf("got %q", got)
	}
	if rtt, err := heartbeat.Check(ctx, c); err != nil || rtt <= 0 {
		t.Errorf("got %v, %v", rtt, err)
	}
	if got := <-pinged; got != "there?" {
		t.Errorf("got %q", got)
	}
	c.Close(ctx, 1000, "")
	<-read
}

func TestDialErrors(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"http://a.example", "ws://127.0.0.1:1/"} {
		o := probe.ConnOptions{Connect: probe.Options{Timeout: waitLimit}}
		_, _, err := probe.Dial(t.Context(), url, o)
		failure := (*probe.Error)(nil)
		usage := strings.HasPrefix(url, "http")
		if err == nil || errors.As(err, &failure) == usage || (o.Check(url) != nil) != usage {
			t.Errorf("%s: got %v", url, err)
		}
	}
}
