package migration_test

import (
	"context"
	"log"
	"net/http/httptest"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
)

func Example_readLoop_wsecho() {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		for {
			typ, p, err := c.Read(ctx)
			if err != nil || string(p) == "quit" {
				return err
			}
			if err := c.Write(ctx, typ, p); err != nil {
				return err
			}
		}
	}, server.Options{ReadLimit: 64})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(s)
	defer srv.Close()

	runSessions(srv.URL, sessions)
	// Output:
	// hello, quit: "hello", close 1000
	// text that is not UTF-8: close 1007 "text is not UTF-8"
	// half a message: no close frame
	// 65 bytes: close 1009 "message over 64 bytes"
}

// Package echo has the read loop of an echo server.
func Example_echo_wsecho() {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		return echo.Serve(ctx, c)
	}, server.Options{ReadLimit: 64})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(s)
	defer srv.Close()

	runSessions(srv.URL, sessions[1:])
	// Output:
	// text that is not UTF-8: close 1007 "text is not UTF-8"
	// half a message: no close frame
	// 65 bytes: close 1009 "message over 64 bytes"
}
