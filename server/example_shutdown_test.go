package server_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
)

// listenAndServe serves pages and WebSockets until ctx ends. Then both end gracefully.
// Server.Shutdown is called first. So /readyz answers 503 while the http.Server still
// runs. http.Server.Shutdown does not close hijacked connections such as WebSockets.
func listenAndServe(ctx context.Context, l net.Listener, s *server.Server) error {
	mux := http.NewServeMux()
	mux.Handle("/ws", s)
	mux.Handle("/readyz", s)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "a page") })
	hs := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}

	var err error
	served := make(chan error, 1)
	go func() { served <- hs.Serve(l) }()
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return errors.Join(err, s.Shutdown(ctx), hs.Shutdown(ctx))
}

// A graceful shutdown of a Server under an http.Server of your own.
func ExampleServer_Shutdown_httpServer() {
	s, err := server.New(shout, server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background()) // in a program: signal.NotifyContext
	served := make(chan error, 1)
	go func() { served <- listenAndServe(ctx, l, s) }()

	conn, _, err := websocket.Dial(context.Background(), "ws://"+l.Addr().String()+"/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.CloseNow()
	stop()
	_, _, err = conn.Read(context.Background())
	fmt.Println(websocket.CloseStatus(err))
	fmt.Println("served:", <-served)
	// Output:
	// StatusGoingAway
	// served: <nil>
}
