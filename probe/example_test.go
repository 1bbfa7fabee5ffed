package probe_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"

	"example.com/wsecho/echo"
	"example.com/wsecho/probe"
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

	url := "ws://" + l.Addr().String() + "/"
	r, err := probe.Run(context.Background(), url, probe.Options{})
	for _, s := range r.Steps {
		fmt.Println(s.Step)
	}
	fmt.Println("it works:", err == nil)

	stop()
	<-done
	_, err = probe.Run(context.Background(), url, probe.Options{})
	if e := (*probe.Error)(nil); errors.As(err, &e) {
		fmt.Println("and now it fails at the step", e.Step)
	}
	// Output:
	// connect
	// handshake
	// echo
	// close
	// it works: true
	// and now it fails at the step connect
}
