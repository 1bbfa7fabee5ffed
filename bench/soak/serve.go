package soak

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"sync"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TLS returns configurations for servers in this and other processes. The client trusts
// any certificate.
var TLS = sync.OnceValues(func() (serverSide, clientSide *tls.Config) {
	serverSide, _ = wstest.TLS()
	return serverSide, &tls.Config{InsecureSkipVerify: true}
})

// ServeTLS runs package server over TLS, which the binary does not support. The limits and
// the log are the same. ServeTLS returns when ctx and the last connection have ended.
func ServeTLS(ctx context.Context, compression string) error {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	modes := map[string]websocket.CompressionMode{
		"no-context-takeover": websocket.CompressionNoContextTakeover,
		"context-takeover":    websocket.CompressionContextTakeover,
	}
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, server.Options{
		Compression: modes[compression], ReadLimit: readLimit, MessageTimeout: messageTimeout,
		WriteTimeout: writeTimeout, CloseTimeout: closeTimeout,
		PingInterval: pingInterval, PingTimeout: pingTimeout, MaxMissed: maxMissed, Logger: log,
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	config, _ := TLS()
	log.Info("listening", "addr", l.Addr().String())
	return s.Serve(ctx, tls.NewListener(l, config))
}
