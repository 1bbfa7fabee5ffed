package server_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/socket"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A captureListener is a listener that passes on what it has accepted.
type captureListener struct {
	net.Listener
	accepted chan net.Conn
}

func capture(l net.Listener) captureListener { return captureListener{l, make(chan net.Conn, 100)} }

func (k captureListener) Accept() (net.Conn, error) {
	c, err := k.Listener.Accept()
	if err == nil {
		k.accepted <- c
	}
	return c, err
}

// fillSocket writes to sock, past the frames, until the kernel accepts no more, also after
// a while. The kernel does not enlarge the buffer of sock later.
func fillSocket(t *testing.T, sock net.Conn) {
	t.Helper()
	raw := socket.Raw(sock)
	if raw == nil {
		t.Skip("package socket does not support this system")
	}
	if err := sock.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	junk := make([]byte, 64<<10)
	for quiet := 0; quiet < 5; time.Sleep(5 * time.Millisecond) {
		quiet++
		if err := raw.Control(func(fd uintptr) {
			for {
				if n, err := socket.Write(fd, junk); n <= 0 || err != nil {
					return
				}
				quiet = 0
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullSocket: the peer accepts nothing. Conn.Ping returns the error of its context and
// does not end the connection, whatever the write timeout. The heartbeat gives its verdict.
func TestFullSocket(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{-1, 100 * time.Millisecond} {
		t.Run(timeout.String(), func(t *testing.T) {
			t.Parallel()
			fullSocket(t, timeout)
		})
	}
}

func fullSocket(t *testing.T, writeTimeout time.Duration) {
	l := capture(listen(t))
	pinged := make(chan error)
	full := make(chan struct{})
	s := serveOn(t, l, func(ctx context.Context, c *server.Conn) error {
		<-full
		for range 3 {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			err := c.Ping(ctx)
			cancel()
			pinged <- err
		}
		_, _, err := c.Read(ctx)
		return err
	}, server.Options{WriteTimeout: writeTimeout, PingInterval: 300 * time.Millisecond})
	p := s.dial(t, wstest.DialOptions{})
	fillSocket(t, <-l.accepted)
	close(full)
	for range 3 {
		select {
		case err := <-pinged:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the error of the context", err)
			}
		case <-time.After(soon):
			t.Fatal("Ping has not returned")
		}
	}
	o := s.end(t)
	if wantKind(t, o, ending.WriteStalled); o.Cause != nil {
		t.Errorf("got the cause %v of a failed write, want the heartbeat's verdict", o.Cause)
	}
	_ = p.Close()
}
