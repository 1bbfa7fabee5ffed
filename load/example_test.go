package load_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/load"
	"example.com/wsecho/load/report"
	"example.com/wsecho/server"
)

func ExampleRun() {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()

	r, err := load.Run(ctx, load.Plan{Connections: 4, InFlight: 16, Rounds: 1, Duration: 100 * time.Millisecond}, "ws://"+l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Headline(r))
	fmt.Println("every byte correct:", r.OK())

	stop()
	fmt.Println(<-done)
	// Output:
	// 64 B text, 4 connections, closed loop, 16 in flight on each, 1 round of 100ms
	// every byte correct: true
	// <nil>
}
