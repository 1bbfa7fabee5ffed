package migration_test

import (
	"testing"
	"testing/synctest"
	"time"

	gorilla "github.com/gorilla/websocket"

	"example.com/wsecho/wstest"
)

// TestWstest: gorilla's client works with a misbehaving server in memory, and with TLS.
func TestWstest(t *testing.T) {
	t.Run("a late pong", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := wstest.NewPipeServer(t, wstest.LatePong(2*time.Second), wstest.CloseWith(4001, "bye").AfterTime(time.Hour))
			d := gorilla.Dialer{NetDialContext: s.DialContext}
			c, _, err := d.Dial(s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			start := time.Now()
			var rtt time.Duration
			c.SetPongHandler(func(string) error { rtt = time.Since(start); return nil })
			if err := c.WriteControl(gorilla.PingMessage, []byte("x"), start.Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			_, _, err = c.ReadMessage()
			if !gorilla.IsCloseError(err, 4001) || rtt != 2*time.Second || time.Since(start) != time.Hour {
				t.Errorf("got %v after %v, and a pong after %v", err, time.Since(start), rtt)
			}
			c.Close()
			if r, err := s.Next(t.Context()); err != nil || r.End.Code != 4001 || r.Violation != "" {
				t.Errorf("got %v, %v", r, err)
			}
		})
	})
	t.Run("TLS", func(t *testing.T) {
		s := wstest.NewTLSServer(t, wstest.Truncate().After(1))
		_, config := wstest.TLS()
		d := gorilla.Dialer{NetDialContext: s.DialContext, TLSClientConfig: config}
		c, _, err := d.Dial(s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.WriteMessage(gorilla.TextMessage, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.ReadMessage(); string(p) != "x" || err != nil {
			t.Errorf("got %q, %v", p, err)
		}
		if _, _, err := c.ReadMessage(); !gorilla.IsUnexpectedCloseError(err) {
			t.Errorf("got %v", err)
		}
	})
}
