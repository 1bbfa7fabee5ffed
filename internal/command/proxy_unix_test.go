//go:build unix

package command

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestProxyUnixForwarded: behind the PROXY protocol on a trusted unix socket, the client of
// the header cannot choose another address. A proxy that names no client can.
func TestProxyUnixForwarded(t *testing.T) {
	l, err := net.Listen("unix", socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, server.Options{TrustUnixSockets: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, &proxyListener{Listener: l, unix: true}) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	for header, want := range map[string]string{
		"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n": "203.0.113.7:4711",
		"PROXY UNKNOWN\r\n":                            "198.51.100.9:0",
		"":                                             "198.51.100.9:0",
	} {
		conn, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		forged := http.Header{"X-Forwarded-For": {"198.51.100.9"}}
		if _, err := io.WriteString(conn, header+string(wstest.Request("ws://example.com/", wstest.SampleKey, forged))); err != nil {
			t.Fatal(err)
		}
		await(t, "the connection is open", func() bool { return s.Count() == 1 })
		for i := range s.Connections() {
			if i.RemoteAddr != want {
				t.Errorf("%q: the client is %s, want %s", header, i.RemoteAddr, want)
			}
		}
		conn.Close()
		await(t, "the connection has ended", func() bool { return s.Count() == 0 })
	}
}
