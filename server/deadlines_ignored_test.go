package server

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A deadlineless is a connection that ignores its deadlines.
type deadlineless struct{ net.Conn }

func (deadlineless) SetReadDeadline(time.Time) error  { return nil }
func (deadlineless) SetWriteDeadline(time.Time) error { return nil }
func (c deadlineless) NetConn() net.Conn              { return c.Conn }

// TestDeadlinesIgnored ends connections whose net.Conn ignores its deadlines, while a Write
// and a Read wait for the peer. Each ends soon after the CloseTimeout.
func TestDeadlinesIgnored(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*closeTest){
		"no pong": (*closeTest).missPong,
		"close":   func(ct *closeTest) { _ = ct.c.Close(websocket.StatusNormalClosure, "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ct := newCloseTest(t, Options{PingInterval: -1, CloseTimeout: time.Millisecond, DrainTimeout: time.Minute,
				PerConn: func(*http.Request) (*ConnOptions, error) {
					return &ConnOptions{Wrap: func(sock net.Conn) net.Conn { return deadlineless{sock} }}, nil
				}})
			go func() { _ = ct.c.Write(context.Background(), websocket.MessageBinary, make([]byte, 64<<20)) }()
			for began := time.Now(); !ct.c.tr.Writing(); time.Sleep(time.Millisecond) {
				if time.Since(began) > 10*time.Second {
					t.Fatal("no write waits")
				}
			}
			go end(ct)
			next(t, ct.ends)
		})
	}
}
