package wstest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"example.com/wsecho/internal/socket"
	"example.com/wsecho/wstest"
)

// TestPipeIsConn runs the tests of package nettest for a net.Conn.
func TestPipeIsConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1, c2 = wstest.Pipe()
		return c1, c2, func() { c1.Close(); c2.Close() }, nil
	})
}

// TestPipeLikeTCP checks that a pipe and a TCP connection end in the same way.
func TestPipeLikeTCP(t *testing.T) {
	rst := func(c net.Conn) {
		check(t, c.(interface{ SetLinger(int) error }).SetLinger(0))
		check(t, c.Close())
	}
	fin := func(c net.Conn) { check(t, c.(interface{ CloseWrite() error }).CloseWrite()) }
	write := func(c net.Conn) { _, err := c.Write([]byte("x")); check(t, err) }
	await := func(c net.Conn) { // its kernel has unread bytes
		for start := time.Now(); socket.HaveQueue && socket.Raw(c) != nil && socket.Unread(c) == 0 && time.Since(start) < soon; {
			time.Sleep(time.Millisecond)
		}
	}
	for _, tt := range []struct {
		name  string
		do    func(a, b net.Conn)
		read  string // what a then reads
		err   error
		write error // of a; nil: none
	}{
		{"FIN", func(a, b net.Conn) { fin(b) }, "", io.EOF, nil},
		{"bytes, FIN", func(a, b net.Conn) { write(b); fin(b) }, "x", io.EOF, nil},
		{"Close", func(a, b net.Conn) { check(t, b.Close()) }, "", io.EOF, syscall.EPIPE},
		{"bytes, Close", func(a, b net.Conn) { write(b); check(t, b.Close()) }, "x", io.EOF, syscall.EPIPE},
		{"RST", func(a, b net.Conn) { rst(b) }, "", syscall.ECONNRESET, syscall.EPIPE},
		{"bytes, RST", func(a, b net.Conn) { write(b); rst(b) }, "x", syscall.ECONNRESET, syscall.EPIPE},
		{"Close with unread bytes", func(a, b net.Conn) { write(a); await(b); check(t, b.Close()) }, "", syscall.ECONNRESET, syscall.EPIPE},
		{"FIN of both", func(a, b net.Conn) { fin(a); fin(b) }, "", io.EOF, syscall.EPIPE},
		{"closed here", func(a, b net.Conn) { check(t, a.Close()) }, "", net.ErrClosed, net.ErrClosed},
		{"deadline", func(a, b net.Conn) { write(b); check(t, a.SetDeadline(time.Unix(1, 0))) }, "", os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
	} {
		for name, a2b := range map[string]func(*testing.T) (a, b net.Conn){"pipe": newPipe, "TCP": newTCP} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				a, b := a2b(t)
				tt.do(a, b)
				got, err := readAll(a)
				if got != tt.read || !errors.Is(err, tt.err) {
					t.Errorf("got %q, %v, want %q, %v", got, err, tt.read, tt.err)
				}
				_, err = a.Write([]byte("y"))
				for start := time.Now(); tt.write != nil && err == nil && time.Since(start) < soon; {
					time.Sleep(time.Millisecond) // the kernel reports the closed end to a later write
					_, err = a.Write([]byte("y"))
				}
				if !errors.Is(err, tt.write) && !(tt.write == syscall.EPIPE && errors.Is(err, syscall.ECONNRESET)) {
					t.Errorf("write: got %v, want %v", err, tt.write)
				}
			})
		}
	}
}

func readAll(c net.Conn) (string, error) {
	var b bytes.Buffer
	p := make([]byte, 10)
	for {
		n, err := c.Read(p)
		b.Write(p[:n])
		if err != nil {
			return b.String(), err
		}
	}
}

func newPipe(t *testing.T) (a, b net.Conn) {
	a, b = wstest.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func newTCP(t *testing.T) (a, b net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err == nil {
		b, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// TestPipeBuffer: a full buffer blocks Write until a read, a deadline or the end.
func TestPipeBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe(t)
		n, err := a.Write(make([]byte, 64<<10))
		if n != 64<<10 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
		check(t, a.SetWriteDeadline(time.Now().Add(time.Hour)))
		start := time.Now()
		if n, err := a.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("got %d, %v after %v", n, err, time.Since(start))
		}
		check(t, a.SetWriteDeadline(time.Time{}))
		time.AfterFunc(time.Minute, func() { io.ReadFull(b, make([]byte, 10)) })
		start = time.Now()
		if n, err := a.Write(make([]byte, 10)); n != 10 || err != nil || time.Since(start) != time.Minute {
			t.Errorf("got %d, %v after %v", n, err, time.Since(start))
		}
		time.AfterFunc(time.Minute, func() { b.Close() })
		if n, err := a.Write(make([]byte, 10)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %d, %v", n, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe(t)
		check(t, b.(interface{ SetReadBuffer(int) error }).SetReadBuffer(3))
		check(t, a.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
		if n, err := a.Write(make([]byte, 10)); n != 3 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %d, %v", n, err)
		}
	})
}

// TestPipeListener: a dial ends with its context, with Close and by Accept.
func TestPipeListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := wstest.NewPipeListener()
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		start := time.Now()
		if _, err := l.DialContext(ctx, "", ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		time.AfterFunc(time.Hour, func() { l.Close() })
		if _, err := l.Dial("", ""); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) || l.Addr().Network() != "pipe" {
			t.Errorf("got %v", err)
		}
		check(t, l.Close())
	})
}
