package heartbeat_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/heartbeat"
	"example.com/wsecho/wstest"
	"github.com/coder/websocket"
)

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }

// upgraded answers a client's handshake with a connection that exists already.
type upgraded struct{ net.Conn }

func (u upgraded) RoundTrip(r *http.Request) (*http.Response, error) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return &http.Response{
		StatusCode: http.StatusSwitchingProtocols,
		Header: http.Header{
			"Upgrade":              {"websocket"},
			"Connection":           {"Upgrade"},
			"Sec-Websocket-Accept": {base64.StdEncoding.EncodeToString(sum[:])},
		},
		Body:    u.Conn,
		Request: r,
	}, nil
}

// pipe returns a client over an unbuffered pipe and the pipe's other end. The client is
// always in Read. Its writes wait until the peer reads. readErr gets the error that ended
// the Read.
func pipe(t *testing.T, m *heartbeat.Monitor) (c *websocket.Conn, peer net.Conn, readErr <-chan error) {
	t.Helper()
	near, far := net.Pipe()
	o := &websocket.DialOptions{HTTPClient: &http.Client{Transport: upgraded{near}}}
	if m != nil {
		o.OnPingReceived, o.OnPongReceived = m.OnPing, m.OnPong
	}
	c, _, err := websocket.Dial(context.Background(), "ws://peer/", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow(); far.Close() })
	read := make(chan error, 1)
	go func() {
		for {
			if _, _, err := c.Read(context.Background()); err != nil {
				read <- err
				return
			}
		}
	}()
	return c, far, read
}

// nextPing waits for the first byte of a ping of a client.
func nextPing(t *testing.T, peer *bufio.Reader) {
	t.Helper()
	if b, err := peer.ReadByte(); err != nil || b != 0x89 {
		t.Fatalf("%#x, %v, want a ping", b, err)
	}
}

// restOfPing reads a ping after its first byte: the length, the mask and a payload.
func restOfPing(t *testing.T, peer *bufio.Reader) {
	t.Helper()
	n, err := peer.ReadByte()
	if err == nil {
		_, err = peer.Discard(4 + int(n&0x7f))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A ping whose write is longer than the Timeout does not end the connection. The end of
// Run during such a write does not end it either.
func TestSlowWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{Interval: 8 * time.Second, Timeout: 100 * ms})
		c, peer, readErr := pipe(t, m)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx, c) }()

		for m.Stats().Missed == 0 { // the ping waits for the peer
			time.Sleep(10 * ms)
		}
		time.Sleep(4 * time.Second)
		br := bufio.NewReaderSize(peer, 16)
		nextPing(t, br)
		restOfPing(t, br)
		peer.Write([]byte{0x8a, 0}) // a pong, late and with another payload
		synctest.Wait()
		if s := m.Stats(); s.Missed != 1 || s.RTT.Count != 1 {
			t.Errorf("%+v", s)
		}

		for m.Stats().Sent < 2 {
			time.Sleep(10 * ms)
		}
		cancel()
		time.Sleep(50 * ms)
		nextPing(t, br)
		restOfPing(t, br)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		select {
		case err := <-readErr:
			t.Errorf("the connection was closed: %v", err)
		default:
		}
	})
}

// A peer that answers with a different payload is alive.
func TestForeignPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor(t, heartbeat.Options{MaxMissed: -1})
		c, peer, _ := pipe(t, m)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx, c) }()
		br := bufio.NewReaderSize(peer, 16)
		for range 5 {
			nextPing(t, br)
			restOfPing(t, br)
			time.Sleep(3 * ms)
			peer.Write([]byte{0x8a, 2, 'm', 'e'})
		}
		time.Sleep(timeout)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s := m.Stats()
		if s.State != heartbeat.Alive || s.Answered != 5 || s.RTT != (heartbeat.RTT{Count: 5, Last: 3 * ms, Min: 3 * ms, Mean: 3 * ms, Max: 3 * ms}) {
			t.Errorf("%+v", s)
		}
	})
}

// loopback returns both sides of a WebSocket, neither of which reads.
func loopback(t *testing.T) (client, server *websocket.Conn) {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}))
	t.Cleanup(srv.Close)
	client, _, err := websocket.Dial(t.Context(), srv.URL, &websocket.DialOptions{HTTPClient: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() { client.CloseNow(); server.CloseNow() })
	return client, server
}

func TestCheck(t *testing.T) {
	client, server := loopback(t)
	client.CloseRead(context.Background())
	server.CloseRead(context.Background())
	for name, c := range map[string]*websocket.Conn{"client": client, "server": server} {
		begin := time.Now()
		rtt, err := heartbeat.Check(t.Context(), c)
		if err != nil || rtt <= 0 || rtt > time.Since(begin) {
			t.Errorf("%s: %v, %v", name, rtt, err)
		}
	}
}

func TestCheckWithoutReader(t *testing.T) {
	client, server := loopback(t)
	server.CloseRead(context.Background())
	ctx, cancel := context.WithTimeout(t.Context(), 400*ms) // enough to send a ping on a busy machine
	defer cancel()
	rtt, err := heartbeat.Check(ctx, client)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "only a concurrent Read can see one") || rtt != 0 {
		t.Errorf("no reader: %v, %v", rtt, err)
	}
	// The connection still works.
	client.CloseRead(context.Background())
	if _, err := heartbeat.Check(t.Context(), client); err != nil {
		t.Errorf("with a reader: %v", err)
	}
}

func TestCheckClosed(t *testing.T) {
	closed, _ := loopback(t)
	closed.CloseNow()
	if _, err := heartbeat.Check(t.Context(), closed); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed before: %v, want net.ErrClosed", err)
	}
	client, server := loopback(t)
	server.CloseRead(context.Background())
	time.AfterFunc(20*ms, func() { client.CloseNow() })
	if _, err := heartbeat.Check(t.Context(), client); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed meanwhile: %v, want net.ErrClosed", err)
	}
}

func TestCheckTimes(t *testing.T) {
	tests := []struct {
		name string
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		ping func(context.Context, int) error
		want time.Duration
		is   error
		text string
	}{
		{"no deadline", context.WithCancel, nil, heartbeat.DefaultTimeout, context.DeadlineExceeded,
			"heartbeat: no pong was received within 10s, and only a concurrent Read can see one: context deadline exceeded"},
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Hour)
		}, nil, time.Hour, context.DeadlineExceeded,
			"heartbeat: no pong was received within 1h0m0s, and only a concurrent Read can see one: context deadline exceeded"},
		{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, nil, time.Second, context.Canceled,
			"heartbeat: no pong was received within 1s, and only a concurrent Read can see one: context canceled"},
		{"not written", context.WithCancel, func(ctx context.Context, _ int) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			<-ctx.Done()
			return ctx.Err()
		}, 5 * time.Second, context.DeadlineExceeded,
			"heartbeat: the ping could not be written within 5s: context deadline exceeded"},
		{"broken", context.WithCancel, func(context.Context, int) error { return syscall.EPIPE }, 0, syscall.EPIPE,
			"heartbeat: checking: broken pipe"},
		{"closed", context.WithCancel, func(context.Context, int) error { return net.ErrClosed }, 0, net.ErrClosed,
			"heartbeat: checking: use of closed network connection"},
		{"answered", context.WithCancel, func(context.Context, int) error { time.Sleep(ms); return nil }, ms, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := tt.ctx(t.Context())
				defer cancel()
				begin := time.Now()
				rtt, err := heartbeat.Check(ctx, &pinger{answer: tt.ping})
				if got := time.Since(begin); got != tt.want || !errors.Is(err, tt.is) {
					t.Errorf("%v after %v, want %v after %v", err, got, tt.is, tt.want)
				}
				switch {
				case tt.is == nil && rtt != tt.want:
					t.Errorf("rtt %v, want %v", rtt, tt.want)
				case tt.is != nil && err.Error() != tt.text:
					t.Errorf("got  %v\nwant %s", err, tt.text)
				}
			})
		})
	}
}

// Both sides of one connection run a Monitor. Then the client disconnects.
func TestBothSides(t *testing.T) {
	o := heartbeat.Options{Interval: 20 * ms, Timeout: 20 * ms, MaxMissed: 1000}
	mine, theirs := newMonitor(t, o), newMonitor(t, o)
	serverEnded := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{OnPingReceived: theirs.OnPing, OnPongReceived: theirs.OnPong})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		serverEnded <- theirs.Run(c.CloseRead(context.Background()), c)
	}))
	defer srv.Close()
	c, _, err := websocket.Dial(t.Context(), srv.URL, &websocket.DialOptions{
		HTTPClient: srv.Client(), OnPingReceived: mine.OnPing, OnPongReceived: mine.OnPong})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	clientEnded := make(chan error, 1)
	ctx := c.CloseRead(context.Background())
	go func() { clientEnded <- mine.Run(ctx, c) }()
	for mine.Stats().Answered < 5 || theirs.Stats().Answered < 5 {
		time.Sleep(ms)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("closing: %v", err)
	}
	if mine, theirs := <-clientEnded, <-serverEnded; mine != nil || theirs != nil {
		t.Errorf("Run returned %v and %v, want nil", mine, theirs)
	}
}
