package console_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"example.com/wsecho/console"
	"example.com/wsecho/echo"
	"example.com/wsecho/fault"
	"example.com/wsecho/metrics"
	"example.com/wsecho/server"
)

// An echo server with faults, the page and metrics. The end of the context ends it. Clients other
// than browsers get the line of Options.About.
func ExampleNew() {
	options := console.Options{Next: http.HandlerFunc(server.ServePlain)}
	for _, p := range fault.Parameters() {
		options.Faults = append(options.Faults, console.Fault(p))
	}
	m := metrics.New(metrics.Options{}) // a program registers it in a registry of Prometheus
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, server.Options{
		PerConn:  fault.PerConn(echo.Serve, fault.Options{}),
		HTTP:     console.New(options),
		About:    "connect with a WebSocket client",
		Observer: m.Observer(),
	})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()

	for _, accept := range []string{"text/html", "*/*"} {
		request, _ := http.NewRequest(http.MethodGet, "http://"+l.Addr().String(), nil)
		request.Header.Set("Accept", accept)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(io.LimitReader(response.Body, 15))
		response.Body.Close()
		fmt.Printf("%s: %q\n", response.Header.Get("Content-Type"), body)
	}
	stop()
	fmt.Println(<-served)
	// Output:
	// text/html; charset=utf-8: "<!doctype html>"
	// text/plain; charset=utf-8: "connect with a "
	// <nil>
}
