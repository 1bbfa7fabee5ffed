package migration_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// timeout is the longest time that a test waits for an event.
const timeout = 10 * time.Second

// serveGorilla serves connections until the end of the test.
func serveGorilla(t *testing.T, u gorilla.Upgrader, f func(*gorilla.Conn)) (url string) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		f(c)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// dialCoder connects a client of coder/websocket until the end of the test.
func dialCoder(t *testing.T, url string, o coder.DialOptions) (context.Context, *coder.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	c, _, err := coder.Dial(ctx, url, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return ctx, c
}

// TestPopularCheckNeverSaysClosed runs the popular check against each ending of a peer. It
// uses both ways to write a ping, with and without a reader.
func TestPopularCheckNeverSaysClosed(t *testing.T) {
	pings := map[string]func(*gorilla.Conn) error{
		"WriteControl": func(c *gorilla.Conn) error {
			return c.WriteControl(gorilla.PingMessage, nil, time.Now().Add(timeout))
		},
		"WriteMessage": func(c *gorilla.Conn) error {
			return c.WriteMessage(gorilla.PingMessage, nil)
		},
	}
	peers := append([]session{{"silence", func(*wstest.Peer) error { return nil }}}, peerEndings...)
	for _, peer := range peers {
		for name, ping := range pings {
			for _, reading := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/reading=%t", peer.name, name, reading), func(t *testing.T) {
					conns, over := make(chan *gorilla.Conn), make(chan struct{})
					url := serveGorilla(t, gorilla.Upgrader{}, func(c *gorilla.Conn) { conns <- c; <-over })
					defer close(over)
					p := dial(url)
					defer p.Close()
					c := <-conns
					if err := peer.do(p); err != nil {
						t.Fatal(err)
					}
					stays := peer.name == "silence"
					if !stays {
						p.Close()
						if reading {
							if _, _, err := c.ReadMessage(); err == nil {
								t.Error("a read after the end: got no error")
							}
						}
					}
					var err error
					for i := 0; i < 1000 && err == nil; i++ {
						err = ping(c)
						if i == 0 && err != nil && (stays || peer.name == "FIN") {
							t.Errorf("the first ping: %v", err)
						}
						if gorilla.IsCloseError(err, gorilla.CloseGoingAway, gorilla.CloseAbnormalClosure) {
							t.Errorf("ping %d: the check says that the connection is closed: %v", i, err)
						}
						if stays && i == 10 {
							return
						}
						time.Sleep(time.Millisecond)
					}
					if err == nil {
						t.Error("every ping succeeded, want an error")
					}
				})
			}
		}
	}
}

// TestWrapped: Of and Gone unwrap the error, and IsCloseError does not.
func TestWrapped(t *testing.T) {
	theirs := fmt.Errorf("reading: %w", &gorilla.CloseError{Code: gorilla.CloseGoingAway})
	if gorilla.IsCloseError(theirs, gorilla.CloseGoingAway) {
		t.Errorf("gorilla unwraps %v", theirs)
	}
	ours := fmt.Errorf("reading: %w", coder.CloseError{Code: coder.StatusGoingAway})
	if !ending.Gone(ours) {
		t.Errorf("Gone does not unwrap %v", ours)
	}
}

// TestReadLimitAndCompression: gorilla's read limit counts compressed bytes, ours
// counts inflated bytes.
func TestReadLimitAndCompression(t *testing.T) {
	const limit = 4096
	zeros := make([]byte, 1<<20)
	client := coder.DialOptions{CompressionMode: coder.CompressionNoContextTakeover}

	read := make(chan int, 1)
	url := serveGorilla(t, gorilla.Upgrader{EnableCompression: true}, func(c *gorilla.Conn) {
		c.SetReadLimit(limit)
		_, p, err := c.ReadMessage()
		if err != nil {
			t.Errorf("gorilla: %v", err)
		}
		read <- len(p)
	})
	ctx, c := dialCoder(t, url, client)
	if err := c.Write(ctx, coder.MessageBinary, zeros); err != nil {
		t.Fatal(err)
	}
	if n := <-read; n != len(zeros) {
		t.Errorf("gorilla read %d bytes", n)
	}

	s, err := server.New(handler, server.Options{ReadLimit: limit, Compression: coder.CompressionNoContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	ctx, c = dialCoder(t, srv.URL, client)
	if err := c.Write(ctx, coder.MessageBinary, zeros); err != nil {
		t.Fatal(err)
	}
	_, _, err = c.Read(ctx)
	if got := coder.CloseStatus(err); got != coder.StatusMessageTooBig {
		t.Errorf("ours closed with %v, want 1009", err)
	}
}

// TestClientReadLimit: the default read limit of coder's client is 32 KiB.
func TestClientReadLimit(t *testing.T) {
	url := serveGorilla(t, gorilla.Upgrader{}, func(c *gorilla.Conn) {
		p := bytes.Repeat([]byte("."), 32768+1)
		if err := c.WriteMessage(gorilla.TextMessage, p); err != nil {
			t.Error(err)
		}
		_, _, _ = c.ReadMessage() // until the client ends the connection
	})
	for _, limit := range []int64{0, 32769} {
		ctx, c := dialCoder(t, url, coder.DialOptions{})
		if limit > 0 {
			c.SetReadLimit(limit)
		}
		_, p, err := c.Read(ctx)
		switch {
		case limit == 0 && ending.Of(err).Kind != ending.TooBig:
			t.Errorf("got %v, want it too big", err)
		case limit > 0 && (err != nil || len(p) != 32769):
			t.Errorf("limit %d: got %d bytes, %v", limit, len(p), err)
		}
		c.CloseNow()
	}
}

type userKey struct{}

// TestContextValues: the handler's context has the values of the request's context.
func TestContextValues(t *testing.T) {
	users := make(chan any, 1)
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		users <- ctx.Value(userKey{})
		return nil
	}, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, "ann")))
	}))
	t.Cleanup(srv.Close)
	p := dial(srv.URL)
	defer p.Close()
	if got := <-users; got != "ann" {
		t.Errorf("got %v, want ann", got)
	}
	receive(p)
}
