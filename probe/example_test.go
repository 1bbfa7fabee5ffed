package probe_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/coder/websocket"

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

// Three pings, and the closing handshake.
func ExampleWatch() {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	hs := httptest.NewServer(s)
	defer hs.Close()

	r, err := probe.Watch(context.Background(), "ws"+strings.TrimPrefix(hs.URL, "http"), probe.WatchOptions{
		Count:    3,
		Interval: 20 * time.Millisecond,
		OnEvent: func(e probe.Event) {
			if e.Type == probe.Replied {
				fmt.Println("pong", e.Seq)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Pings.Received, "of", r.Pings.Sent)
	fmt.Printf("%v, %d, exit code %d\n", r.End.Kind, r.End.Received, r.ExitCode())
	// Output:
	// pong 1
	// pong 2
	// pong 3
	// 3 of 3
	// closed, 1000, exit code 0
}

func ExampleDial() {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		typ, b, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), typ, append(b, '!')) != nil {
			return
		}
		_ = c.Close(4000, "enough")
	}))
	defer s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, _, err := probe.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http"), probe.ConnOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		fmt.Println(err) // Ended has the reason
	}
	for {
		_, b, err := c.Read()
		if err != nil {
			break
		}
		fmt.Printf("%s\n", b)
	}
	end := c.Ended(nil)
	fmt.Println(end.Kind, end.By, int(end.Code), end.Reason)
	// Output:
	// hello!
	// peer code peer 4000 enough
}

func ExamplePingInterval() {
	// Such a result is that of FindIdle.
	r := probe.IdleResult{Survived: 59500 * time.Millisecond, Failed: 60 * time.Second}
	fmt.Println(probe.PingInterval(r))
	for _, s := range r.Suspects() {
		fmt.Println(s.Timeout, s.Name)
	}
	// Output:
	// 29s
	// 1m0s nginx (proxy_read_timeout) or an AWS Application Load Balancer
}
