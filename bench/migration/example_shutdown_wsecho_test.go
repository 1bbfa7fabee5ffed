package migration_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"example.com/wsecho/server"
)

// A program with an http.Server of its own shuts down both servers.
func Example_shutdown_wsecho() {
	s, err := server.New(handler, server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Handler: s}
	l := listen()
	go srv.Serve(l)
	p := dial("ws://" + l.Addr().String())
	received := make(chan []string)
	go func() { received <- receive(p) }()

	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	fmt.Println("Shutdown:", errors.Join(s.Shutdown(ctx), srv.Shutdown(ctx)))

	fmt.Println("the peer received:", <-received)
	p.Close()
	// Output:
	// Shutdown: <nil>
	// the peer received: [close 1001 "the server is going away"]
}

// Serve contains an http.Server. Cancelling its context shuts both down.
func Example_serve_wsecho() {
	s, err := server.New(handler, server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // or signal.NotifyContext
	l := listen()
	served := make(chan error)
	go func() { served <- s.Serve(ctx, l) }()
	p := dial("ws://" + l.Addr().String())
	received := make(chan []string)
	go func() { received <- receive(p) }()

	cancel()
	fmt.Println("Serve:", <-served)

	fmt.Println("the peer received:", <-received)
	p.Close()
	// Output:
	// Serve: <nil>
	// the peer received: [close 1001 "the server is going away"]
}
