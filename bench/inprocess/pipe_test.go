package inprocess

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// TestConn runs the Go project's tests of a net.Conn, with small and large buffers.
func TestConn(t *testing.T) {
	for _, size := range []int{100, 64 << 10} {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			c1, c2 = newConn(size)
			return c1, c2, func() {
				_ = c1.Close()
				_ = c2.Close()
			}, nil
		})
	}
}

// TestBuffered: a write does not wait for a read. After the other end was closed, a reader
// gets all buffered bytes and then io.EOF.
func TestBuffered(t *testing.T) {
	client, server := newConn(10)
	for _, s := range []string{"0123456", "789"} {
		if n, err := client.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	b := make([]byte, 6)
	if n, err := server.Read(b); n != 6 || err != nil || string(b) != "012345" {
		t.Fatal(n, err, b)
	}
	if _, err := client.Write([]byte("abcd")); err != nil { // around the end
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(server); err != nil || !bytes.Equal(rest, []byte("6789abcd")) {
		t.Errorf("got %q, %v", rest, err)
	}
	if _, err := server.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("writing after the peer closed: %v", err)
	}
	if _, err := client.Read(b); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading after Close: %v", err)
	}
}

func TestListener(t *testing.T) {
	l := listen(1)
	if _, err := l.dial(10 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no Accept: %v", err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accepting after Close: %v", err)
	}
	if _, err := l.dial(time.Minute); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dialling after Close: %v", err)
	}
}
