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

// With an http.Server of one's own there are two to shut down.
func Example_shutdown_wsecho() {
	s, err := server.New(handler, server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Handler: s}
	l := listen()
	go srv.Serve(l)
	p := dial("ws://" + l.Addr().String())
	heard := make(chan []string)
	go func() { heard <- hears(p) }()

	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	fmt.Println("Shutdown:", errors.Join(s.Shutdown(ctx), srv.Shutdown(ctx)))

	fmt.Println("the peer hears:", <-heard)
	p.Close()
	// Output:
	// Shutdown: <nil>
	// the peer hears: [close 1001 "the server is going away"]
}

// Serve has the http.Server inside, and ends with its context.
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
	heard := make(chan []string)
	go func() { heard <- hears(p) }()

	cancel()
	fmt.Println("Serve:", <-served)

	fmt.Println("the peer hears:", <-heard)
	p.Close()
	// Output:
	// Serve: <nil>
	// the peer hears: [close 1001 "the server is going away"]
}
