package server_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A countingContext never ends. It counts the functions that wait for its end.
type countingContext struct {
	context.Context
	done    chan struct{}
	waiting atomic.Int64
}

func newCountingContext() *countingContext {
	return &countingContext{Context: context.Background(), done: make(chan struct{})}
}

func (c *countingContext) Done() <-chan struct{} { return c.done }

// AfterFunc is what context.AfterFunc calls.
func (c *countingContext) AfterFunc(func()) (stop func() bool) {
	c.waiting.Add(1)
	var stopped atomic.Bool
	return func() bool {
		if !stopped.CompareAndSwap(false, true) {
			return false
		}
		c.waiting.Add(-1)
		return true
	}
}

// TestBindEnds: a context that outlives a connection does not keep the connection in
// memory. The handler may have left a message or a writer unfinished.
func TestBindEnds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		handle func(ctx context.Context, c *server.Conn) error
	}{
		{"message", func(ctx context.Context, c *server.Conn) error { _, _, err := c.Read(ctx); return err }},
		{"half a message", func(ctx context.Context, c *server.Conn) error {
			_, r, err := c.Reader(ctx)
			if err == nil {
				_, err = r.Read(make([]byte, 10))
			}
			return err
		}},
		{"half a message, read later", func(ctx context.Context, c *server.Conn) error {
			_, r, err := c.Reader(ctx)
			if err == nil {
				_ = c.Close(1000, "")
				if n, err := io.Copy(io.Discard, r); err == nil {
					return errors.New("the closing handshake did not end the message")
				} else if n != 0 {
					return err
				}
			}
			return err
		}},
		{"the next message", func(ctx context.Context, c *server.Conn) error {
			_, _, err := c.Reader(ctx)
			if _, _, next := c.Reader(ctx); next == nil {
				return errors.New("got the next message, but not the end of the first one")
			}
			return err
		}},
		{"write", func(ctx context.Context, c *server.Conn) error {
			return c.Write(ctx, websocket.MessageText, []byte("x"))
		}},
		{"writer", func(ctx context.Context, c *server.Conn) error {
			w, err := c.Writer(ctx, websocket.MessageText)
			if err == nil {
				err = w.Close()
			}
			return err
		}},
		{"open writer", func(ctx context.Context, c *server.Conn) error {
			_, err := c.Writer(ctx, websocket.MessageText)
			return err
		}},
		{"half a writer", func(ctx context.Context, c *server.Conn) error {
			w, err := c.Writer(ctx, websocket.MessageText)
			if err == nil {
				_, err = io.WriteString(w, "half")
			}
			return err
		}},
		{"writer after the end", func(ctx context.Context, c *server.Conn) error {
			_ = c.CloseNow()
			if _, err := c.Writer(ctx, websocket.MessageText); err == nil {
				return errors.New("got a writer after the end")
			}
			return nil
		}},
		{"CloseRead", func(ctx context.Context, c *server.Conn) error {
			c.CloseRead(ctx)
			c.CloseRead(ctx)
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			app := newCountingContext()
			s := serve(t, func(_ context.Context, c *server.Conn) error { return test.handle(app, c) }, server.Options{CloseTimeout: unanswered})
			p := s.dial(t, wstest.DialOptions{})
			_ = p.Send(wstest.TextFrame(strings.Repeat("x", 1000))) // fails after CloseNow
			_ = p.Send(wstest.TextFrame("y"))
			go p.End(soon)
			s.end(t)
			// CloseRead releases its context on a goroutine, which may be later.
			eventually(t, "no function waits for the end of the context", func() bool { return app.waiting.Load() == 0 })
		})
	}
}

// TestCloseReadContexts: the end of any context of CloseRead ends the connection, also if
// the connection can be parked.
func TestCloseReadContexts(t *testing.T) {
	t.Parallel()
	cause := errors.New("enough")
	for _, test := range []struct {
		name  string
		calls int  // of CloseRead; the context of the last one ends
		over  bool // before the call
		o     server.Options
	}{
		{"first", 1, false, server.Options{}},
		{"second", 2, false, server.Options{}},
		{"third", 3, false, server.Options{}},
		{"over, first", 1, true, server.Options{}},
		{"over, second", 2, true, server.Options{}},
		{"can be parked", 1, false, server.Options{ParkAfter: shortParkAfter}},
		{"can be parked, second", 2, false, server.Options{ParkAfter: shortParkAfter}},
		{"can be parked, over", 1, true, server.Options{ParkAfter: shortParkAfter}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			app, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			if test.over {
				cancel(cause)
			}
			s := serve(t, func(ctx context.Context, c *server.Conn) error {
				for range test.calls - 1 {
					other, cancel := context.WithCancel(context.Background())
					defer cancel()
					c.CloseRead(other)
				}
				read := c.CloseRead(app)
				cancel(cause)
				<-read.Done()
				if got := context.Cause(read); got != cause {
					t.Errorf("the context's cause: got %v, want %v", got, cause)
				}
				<-ctx.Done()
				return nil
			}, test.o)
			p := s.dial(t, wstest.DialOptions{})
			if test.o.ParkAfter > 0 {
				send(t, p, wstest.TextFrame("x")) // else the handler is not called
			}
			go p.End(soon)
			end := s.end(t)
			if wantKind(t, end, ending.Closed); !errors.Is(end.Cause, cause) {
				t.Errorf("got %v, want %v", end.Cause, cause)
			}
		})
	}
}

// TestCloseReadParked: the end of a context of CloseRead ends a connection that is parked.
func TestCloseReadParked(t *testing.T) {
	t.Parallel()
	app, cancel := context.WithCancel(context.Background())
	defer cancel()
	called := make(chan struct{}, 1)
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		c.CloseRead(app)
		_, _, err := c.Read(ctx)
		called <- struct{}{}
		return cmp.Or(err, server.ErrNoMessage)
	}, server.Options{ParkAfter: shortParkAfter})
	p := s.dial(t, wstest.DialOptions{})
	send(t, p, wstest.TextFrame("x"))
	<-called
	eventually(t, "the connection is parked", func() bool { return s.Parked() == 1 })
	cancel()
	go p.End(soon)
	wantKind(t, s.end(t), ending.Closed)
}
