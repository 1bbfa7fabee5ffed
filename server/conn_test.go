package server_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func TestConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{Subprotocols: []string{"a"}, PingInterval: 400 * time.Millisecond})
	p := s.dial(t, wstest.DialOptions{Header: http.Header{"Host": {"some.host"}}, Subprotocols: []string{"a"}})
	send(t, p, wstest.TextFrame("four"))
	receive(t, p, wstest.Text, "four")
	before := time.Now()
	send(t, p, wstest.BinaryFrame([]byte("five5")))
	receive(t, p, wstest.Binary, "five5")
	ctx, cancel := context.WithCancel(context.Background())
	answered := make(chan struct{})
	go func() { defer close(answered); _, _ = p.Answer(ctx, wstest.AnswerOptions{}) }()
	var i server.Info
	eventually(t, "a round trip is measured", func() bool {
		for i = range s.Connections() {
		}
		return i.Heartbeat.RTT.Count > 1
	})
	if i.ID != 1 || i.RemoteAddr != p.NetConn().LocalAddr().String() || i.Host != "some.host" || i.URI != "/" || i.Subprotocol != "a" {
		t.Errorf("got %+v", i)
	}
	if i.MessagesIn != 2 || i.MessagesOut != 2 || i.BytesIn != 9 || i.BytesOut != 9 {
		t.Errorf("counts: got %+v", i)
	}
	if i.Since.IsZero() || i.Since.After(before) || i.LastReceived.Before(before) || i.LastReceived.After(time.Now()) || i.Heartbeat.RTT.Last <= 0 {
		t.Errorf("times: got %+v", i)
	}
	for range s.Connections() {
		break // the handler may end the iteration early
	}
	cancel()
	<-answered
}

func TestConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{PingInterval: 100 * time.Millisecond, MaxMissed: 1000})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					for i := range s.Connections() {
						_ = i.MessagesIn
					}
				}
			}
		})
	}
	for range 10 {
		p := s.dial(t, wstest.DialOptions{})
		send(t, p, wstest.TextFrame("x"))
		receive(t, p, wstest.Text, "x")
		_ = p.RST()
		s.end(t)
	}
	close(stop)
	wg.Wait()
}

// TestWriter writes a message in pieces. A second Close of the writer does not change
// the ending of the connection.
func TestWriter(t *testing.T) {
	t.Parallel()
	for _, mode := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionContextTakeover} {
		var again, after error
		s := serve(t, func(ctx context.Context, c *server.Conn) error {
			w, err := c.Writer(ctx, websocket.MessageText)
			if err != nil {
				return err
			}
			defer func() { again = w.Close() }()
			for range 3 {
				if _, err := io.WriteString(w, strings.Repeat("piece ", 1000)); err != nil {
					return err
				}
			}
			if err := w.Close(); err != nil {
				return err
			}
			_, after = w.Write([]byte("more"))
			return nil
		}, server.Options{Compression: mode})
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		c, _, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{CompressionMode: mode})
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(-1)
		if _, p, err := c.Read(ctx); err != nil || string(p) != strings.Repeat("piece ", 3000) {
			t.Errorf("got %d bytes, %v", len(p), err)
		}
		if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != 1000 {
			t.Errorf("got %v", err)
		}
		wantKind(t, s.end(t), ending.Done)
		if again == nil || after == nil {
			t.Errorf("closed again: %v, written after: %v, want errors", again, after)
		}
	}
}

// TestReadPastEnd: a Read after the end of a message returns io.EOF again.
func TestReadPastEnd(t *testing.T) {
	t.Parallel()
	for _, mode := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionNoContextTakeover} {
		s := serve(t, func(ctx context.Context, c *server.Conn) error {
			for {
				typ, r, err := c.Reader(ctx)
				if err != nil {
					return err
				}
				p, err := io.ReadAll(r)
				if err != nil {
					return err
				}
				for range 3 {
					if n, err := r.Read(make([]byte, 10)); n != 0 || err != io.EOF {
						t.Errorf("got %d, %v", n, err)
					}
				}
				if err := c.Write(ctx, typ, p); err != nil {
					return err
				}
			}
		}, server.Options{Compression: mode})
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		c, _, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{CompressionMode: mode})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("again ", 500)
		for range 3 {
			if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if _, p, err := c.Read(ctx); err != nil || string(p) != text {
				t.Errorf("got %d bytes, %v", len(p), err)
			}
		}
		_ = c.Close(1000, "")
	}
}

// TestHandlerContext: the handler's context ends with the connection, whichever side
// ended it.
func TestHandlerContext(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(c *server.Conn) error{
		"Close":    func(c *server.Conn) error { return c.Close(1000, "") },
		"CloseNow": func(c *server.Conn) error { return c.CloseNow() },
	} {
		s := serve(t, func(ctx context.Context, c *server.Conn) error {
			if err := end(c); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := end(c); err == nil {
				t.Errorf("%s: again: got nil", name)
			}
			select {
			case <-ctx.Done():
			case <-time.After(soon):
				t.Errorf("%s: the context has not ended", name)
			}
			return nil
		}, server.Options{})
		p := s.dial(t, wstest.DialOptions{})
		_ = p.Send(wstest.CloseFrame(1000, ""))
		wantKind(t, s.end(t), ending.Closed)
	}
}

func TestCloseArguments(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\u20ac", 60) // 180 bytes
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		for _, code := range []websocket.StatusCode{-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000} {
			if err := c.Close(code, ""); err == nil {
				t.Errorf("Close(%d): got %v", code, err)
			}
		}
		return c.Close(4000, "\xff"+long)
	}, server.Options{})
	p := s.dial(t, wstest.DialOptions{})
	_, reason, err := p.Await(soon)
	if want := "\ufffd" + long[:120]; err != nil || reason != want {
		t.Errorf("got %q, %v, want %q", reason, err, want)
	}
	wantKind(t, s.end(t), ending.Closed)
}

// TestReaderOfTheHandlers: the handler returns while a goroutine of the handler reads.
func TestReaderOfTheHandlers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(p *wstest.Peer)
		want ending.Kind
	}{
		"returns":         {func(p *wstest.Peer) {}, ending.Done},
		"peer has closed": {func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1001, "")) }, ending.GoingAway},
		"peer has reset":  {func(p *wstest.Peer) { _ = p.RST() }, ending.Reset},
	} {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			first := make(chan struct{})
			s := serve(t, func(ctx context.Context, c *server.Conn) error {
				wg.Go(func() { _ = readAll(ctx, c) })
				<-first
				if tt.want == ending.Done {
					return nil
				}
				for {
					if err := c.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
						return err
					}
				}
			}, server.Options{})
			p := s.dial(t, wstest.DialOptions{})
			send(t, p, wstest.TextFrame("half").Open())
			tt.do(p)
			close(first)
			o := s.end(t)
			wg.Wait()
			if tt.want == ending.Reset && o.Kind == ending.Abnormal {
				return // the write failed from the reset, and the read reported it first
			}
			wantKind(t, o, tt.want)
		})
	}
}

// TestMessagesAfterClose checks that messages after this side's close frame count, as
// documented for the log.
func TestMessagesAfterClose(t *testing.T) {
	t.Parallel()
	s := serve(t, func(context.Context, *server.Conn) error { return nil }, server.Options{CloseTimeout: server.MaxCloseTimeout})
	p := s.dial(t, wstest.DialOptions{})
	if code, _, err := p.Await(soon); err != nil || code != 1000 {
		t.Fatalf("got the close code %d, %v", code, err)
	}
	send(t, p, wstest.TextFrame("late"), wstest.TextFrame("later"), wstest.CloseFrame(1000, ""))
	if o := s.end(t); o.MessagesIn != 2 || o.BytesIn != 9 || o.Received != 1000 {
		t.Errorf("got %d messages of %d bytes, and the close code %d", o.MessagesIn, o.BytesIn, o.Received)
	}
}
