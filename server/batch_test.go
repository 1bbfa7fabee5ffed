package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// burst is so many messages in one write that the server batches their replies.
const burst = 300

func sendBurst(tb testing.TB, p *wstest.Peer, more ...wstest.Frame) {
	tb.Helper()
	send(tb, p, append(slices.Repeat([]wstest.Frame{wstest.TextFrame("x")}, burst), more...)...)
}

func receiveBurst(tb testing.TB, p *wstest.Peer) {
	tb.Helper()
	for range burst {
		receive(tb, p, wstest.Text, "x")
	}
}

// TestPausingHandler: a handler pauses until the peer has the reply that it has just
// written. More input is buffered meanwhile. The handler pauses at its first message, and
// in the middle of a batch.
func TestPausingHandler(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			pausing, goOn := make(chan bool), make(chan bool)
			s := w.serve(t, func(ctx context.Context, c *server.Conn) error {
				for {
					typ, p, err := c.Read(ctx)
					if err != nil {
						return err
					}
					if err := c.Write(ctx, typ, p); err != nil {
						return err
					}
					if string(p) == "pause" {
						pausing <- true
						<-goOn
					}
				}
			}, server.Options{})
			p := s.dial(t, wstest.DialOptions{})
			send(t, p, wstest.TextFrame("pause"), wstest.TextFrame("x"))
			<-pausing
			receive(t, p, wstest.Text, "pause")
			goOn <- true
			receive(t, p, wstest.Text, "x")
			for range 5 {
				sendBurst(t, p, wstest.TextFrame("pause"), wstest.TextFrame("y"))
				<-pausing
				receiveBurst(t, p)
				receive(t, p, wstest.Text, "pause")
				goOn <- true
				receive(t, p, wstest.Text, "y")
			}
		})
	}
}

// TestEndOfBatch: a connection ends in the middle of a batch, and the peer gets all replies
// written before.
func TestEndOfBatch(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		for _, how := range []string{"CloseNow", "Close", "return", "error", "drain", "Ping"} {
			t.Run(w.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				var s *testServer
				s = w.serve(t, func(ctx context.Context, c *server.Conn) error {
					for {
						typ, p, err := c.Read(ctx)
						if err != nil {
							return err
						}
						if err := c.Write(ctx, typ, p); err != nil {
							return err
						}
						if string(p) != "end" {
							continue
						}
						switch how {
						case "CloseNow":
							return c.CloseNow()
						case "Close":
							return c.Close(websocket.StatusNormalClosure, "")
						case "return":
							return nil
						case "error":
							return errors.New("failed")
						case "drain":
							go s.stop()
						case "Ping":
							ctx, cancel := context.WithCancel(ctx)
							cancel()
							_ = c.Ping(ctx)
							return c.CloseNow()
						}
					}
				}, server.Options{})
				for range 5 {
					p := s.dial(t, wstest.DialOptions{})
					sendBurst(t, p, wstest.TextFrame("end"), wstest.TextFrame("z"))
					receiveBurst(t, p)
					receive(t, p, wstest.Text, "end")
					if how == "drain" {
						if code, err := toClose(p); code != 1001 || err != nil {
							t.Errorf("got %d, %v, want 1001", code, err)
						}
						break
					}
					p.Close()
					s.end(t)
				}
			})
		}
	}
}

// toClose reads to a close frame, answers it, and returns its code.
func toClose(p *wstest.Peer) (code uint16, err error) {
	code, _, err = p.Await(soon)
	if err == nil {
		err = p.Send(wstest.CloseFrame(code, ""))
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("the stream ends: %w", err)
	}
	return code, err
}
