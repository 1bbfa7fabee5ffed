package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A countingConn counts the bytes that are written.
type countingConn struct {
	net.Conn
	written *atomic.Int64
}

func (c countingConn) NetConn() net.Conn { return c.Conn }

func (c countingConn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

func (c countingConn) Write(p []byte) (int, error) {
	c.written.Add(int64(len(p)))
	return c.Conn.Write(p)
}

// TestPerConn: each of the ConnOptions changes one connection, and only that.
func TestPerConn(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	var written atomic.Int64
	var mu sync.Mutex
	var order []string // under mu
	called := func(name string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, name)
	}
	refused := make(chan server.Refusal, 10)
	s := serve(t, echoes, server.Options{
		ParkAfter: shortParkAfter, PingInterval: -1, // a ping would change the bytes and frames
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
		Observer: &server.Observer{Refused: func(_ *http.Request, why server.Refusal) { refused <- why }},
		Admit: func(*http.Request) (any, error) {
			called("Admit")
			return "value", nil
		},
		PerConn: func(r *http.Request) (*server.ConnOptions, error) {
			called("PerConn")
			switch r.URL.Path {
			case "/no":
				return nil, errors.New("not here")
			case "/teapot":
				return nil, &server.AdmitError{Status: http.StatusTeapot}
			case "/empty":
				return &server.ConnOptions{}, nil
			case "/all":
				return &server.ConnOptions{
					Handler: func(ctx context.Context, c *server.Conn) error {
						if c.Value() != "value" {
							t.Errorf("got the value %v", c.Value())
						}
						_ = c.Write(ctx, 1, []byte("hello"))
						return readAll(ctx, c)
					},
					Header: func(h http.Header) { h.Set("X-Test", "1") },
					Wrap:   func(sock net.Conn) net.Conn { return countingConn{sock, &written} },
					Pong:   func(_ []byte, send func([]byte)) { send([]byte("pong")) },
					Fault:  "on purpose",
				}, nil
			}
			return nil, nil
		},
	})
	url := s.url
	for path, status := range map[string]int{"no": 403, "teapot": 418} {
		var e *wstest.HandshakeError
		if _, err := wstest.Dial(url+path, wstest.DialOptions{}); !errors.As(err, &e) || e.Response.StatusCode != status {
			t.Errorf("%s: got %v, want %d", path, err, status)
		}
		if why := <-refused; why != server.RefusedPerConn {
			t.Errorf("%s: got %v", path, why)
		}
	}
	mu.Lock()
	if want := "Admit PerConn Admit PerConn"; strings.Join(order, " ") != want {
		t.Errorf("got the order %v, want %s", order, want)
	}
	mu.Unlock()

	s.url = url + "all"
	p := s.dial(t, wstest.DialOptions{})
	if got := p.Response.Header.Get("X-Test"); got != "1" {
		t.Errorf("got the header %q", got)
	}
	receive(t, p, wstest.Text, "hello")
	for i := range s.Connections() {
		if i.Fault != "on purpose" {
			t.Errorf("got %+v", i)
		}
	}
	send(t, p, wstest.PingFrame("x"))
	if f, err := p.Recv(); err != nil || f.Opcode != wstest.Pong || string(f.Payload) != "pong" {
		t.Errorf("got %v, %v", f, err)
	}
	send(t, p, wstest.CloseFrame(1000, ""))
	finish(t, p, 1000)
	o := s.end(t)
	if o.Fault != "on purpose" || o.Kind != ending.Normal || written.Load() != 7+6+4 {
		t.Errorf("%d bytes were written; got %+v", written.Load(), o)
	}
	if n := log.count(`fault="on purpose"`); n != 1 {
		t.Errorf("got %d lines with the fault", n)
	}

	for _, path := range []string{"", "empty"} {
		s.url = url + path
		p := s.dial(t, wstest.DialOptions{})
		send(t, p, wstest.TextFrame("x"), wstest.PingFrame("y"))
		receive(t, p, wstest.Text, "x")
		if path == "" {
			eventually(t, "the connection is parked", func() bool { return s.Parked() == 1 })
		} else {
			time.Sleep(10 * shortParkAfter)
			if n := s.Parked(); n != 0 {
				t.Errorf("%d connections with ConnOptions are parked", n)
			}
		}
		send(t, p, wstest.CloseFrame(1000, ""))
		finish(t, p, 1000)
		if o := s.end(t); o.Fault != "" {
			t.Errorf("%q: got %+v", path, o)
		}
	}
	if n := log.count("fault="); n != 1 {
		t.Errorf("got %d lines with a fault", n)
	}
}
