package wstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/wstest"
)

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
