package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A server behind a proxy believes it about the client and its scheme.
func ExampleScheme() {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, server.Options{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Admit: func(r *http.Request) (any, error) {
			fmt.Println(r.RemoteAddr, server.Scheme(r))
			if server.Scheme(r) != "https" {
				return nil, errors.New("connect with wss://")
			}
			return nil, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, l) }()

	// The proxy is on 127.0.0.1, and so is this client.
	for _, proto := range []string{"https", "http"} {
		p, err := wstest.Dial("ws://"+l.Addr().String(), wstest.DialOptions{Header: http.Header{
			"X-Forwarded-For":   {"203.0.113.7:4711"},
			"X-Forwarded-Proto": {proto},
		}})
		if bad := (*wstest.HandshakeError)(nil); errors.As(err, &bad) {
			fmt.Print(bad.Response.Status, ": ", string(bad.Body))
			continue
		}
		if err != nil {
			fmt.Println(err)
			continue
		}
		_ = p.Close()
	}
	stop()
	if err := <-served; err != nil {
		fmt.Println(err)
	}
	// Output:
	// 203.0.113.7:4711 https
	// 203.0.113.7:4711 http
	// 403 Forbidden: connect with wss://
}
