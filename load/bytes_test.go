package load_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"example.com/wsecho/load"
)

// tcpServer serves each connection with handle. It returns a tcp URL.
func tcpServer(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return "tcp://" + l.Addr().String()
}

// TestBytes checks a server that echoes bytes over TCP, without WebSocket.
func TestBytes(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]load.Plan{
		"one in flight": {Connections: 3},
		"in flight":     {Connections: 3, Size: 5, InFlight: 16},
		"large":         {Connections: 2, Size: 300_000, InFlight: 2, Binary: true},
		"rate":          {Connections: 3, Rate: 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, plan, tcpServer(t, func(c net.Conn) { _, _ = io.Copy(c, c) }))
			if target := r.Targets[0]; !r.OK() {
				t.Errorf("%q, %+v", target.Problems(), target.Rounds)
			}
		})
	}
	for name, test := range map[string]struct {
		handle func(c net.Conn, first []byte)
		want   string
	}{
		"another byte": {func(c net.Conn, b []byte) {
			b[len(b)-1] ^= 1
			_, _ = c.Write(b)
		}, "did not come back as it was sent: byte "},
		"more": {func(c net.Conn, b []byte) { _, _ = c.Write(append(b, 'x')) }, "sent a message that is no echo: 1 bytes or more"},
		"less": {func(c net.Conn, b []byte) { _, _ = c.Write(b[1:]) }, "did not come back as it was sent: byte 1 "},
		"ends": {func(net.Conn, []byte) {}, "ended the stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, load.Plan{Connections: 1}, tcpServer(t, func(c net.Conn) {
				b := make([]byte, 1<<10)
				n, err := c.Read(b)
				if err != nil {
					return
				}
				test.handle(c, b[:n])
				if name != "ends" {
					_, _ = io.Copy(io.Discard, c)
				}
			}))
			if wrong := r.Targets[0].Problems(); r.OK() || len(wrong) == 0 || !strings.Contains(wrong[0], test.want) {
				t.Errorf("got %q, want %s", wrong, test.want)
			}
		})
	}
	for _, url := range []string{"tcp://127.0.0.1", "tcp://:80", "tcp://127.0.0.1:80/", "tcp://me@127.0.0.1:80"} {
		if err := (load.Plan{}).Check(url); err == nil || !strings.Contains(err.Error(), "is not tcp://HOST:PORT") {
			t.Errorf("%s: got %v", url, err)
		}
	}
	if err := (load.Plan{Compression: true}).Check("tcp://127.0.0.1:80"); err == nil || !strings.Contains(err.Error(), "cannot have Compression") {
		t.Errorf("got %v", err)
	}
}
