// Command nbio is the echo server of lesismal/nbio for the comparison. It is a separate
// program, because the library allocates 1 MiB at the start. The garbage collector of each
// other server would scan that memory.
//
//	go build -o bin/nbio ./peers/nbio
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/lesismal/llib/std/crypto/tls"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"example.com/wsecho/bench/peers"
	"example.com/wsecho/wstest"
)

func main() {
	logging.Output = os.Stderr
	logging.SetLevel(logging.LevelWarn)
	for name, mode := range map[string]int{"nbio": nbhttp.IOModNonBlocking, "nbio-mixed": nbhttp.IOModMixed} {
		peers.Provide(name, func(o peers.Options) (func(net.Listener) error, func(context.Context) error, error) {
			return prepare(o, mode)
		})
	}
	if len(os.Args) < 2 || os.Args[1] != "serve" {
		fmt.Fprintln(os.Stderr, "nbio: the command line is serve nbio [FLAGS]")
		os.Exit(2)
	}
	if err := peers.Child(os.Args[2:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func prepare(o peers.Options, mode int) (serve func(net.Listener) error, shutdown func(context.Context) error, err error) {
	upgrader := websocket.NewUpgrader()
	upgrader.MessageLengthLimit = 16 << 20
	upgrader.EnableCompression(o.Compression)
	upgrader.OnMessage(func(c *websocket.Conn, typ websocket.MessageType, p []byte) {
		_ = c.WriteMessage(typ, p) // the library closes a failed connection
	})
	started, ended := make(chan *nbhttp.Engine, 1), make(chan struct{})
	serve = func(l net.Listener) error {
		config := nbhttp.Config{
			Network: "tcp", IOMod: mode, MaxBlockingOnline: nbhttp.DefaultMaxBlockingOnline,
			Listen: func(string, string) (net.Listener, error) { return l, nil },
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = upgrader.Upgrade(w, r, nil) // Upgrade has answered
			}),
		}
		if o.TLS {
			std, _ := wstest.TLS()
			c := std.Certificates[0]
			config.AddrsTLS = []string{l.Addr().String()}
			config.TLSConfig = &tls.Config{
				Certificates: []tls.Certificate{{Certificate: c.Certificate, PrivateKey: c.PrivateKey}},
			}
		} else {
			config.Addrs = []string{l.Addr().String()}
		}
		engine := nbhttp.NewEngine(config)
		if err := engine.Start(); err != nil {
			return err
		}
		started <- engine
		<-ended
		return nil
	}
	shutdown = func(ctx context.Context) error {
		defer close(ended)
		select {
		case engine := <-started:
			return engine.Shutdown(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return serve, shutdown, nil
}
