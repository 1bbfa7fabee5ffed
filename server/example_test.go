package server_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
)

// echoOnce sends a text and returns the reply.
func echoOnce(url, text string) (string, error) {
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return "", err
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return "", err
	}
	_, p, err := c.Read(ctx)
	if err != nil {
		return "", err
	}
	return string(p), c.Close(websocket.StatusNormalClosure, "bye")
}

// An echo server that serves until its context is cancelled, then closes every
// connection with 1001.
func ExampleServer_Serve() {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		return echo.Serve(ctx, c)
	}, server.Options{
		OnEnd: func(o server.Outcome) {
			fmt.Printf("%s by %s, %d %q, %d messages in\n", o.Kind, o.By, o.Code, o.Reason, o.MessagesIn)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) // a program has signal.NotifyContext here
	served := make(chan error)
	go func() { served <- s.Serve(ctx, l) }()

	fmt.Println(echoOnce("ws://"+l.Addr().String(), "hello"))
	cancel()
	fmt.Println("served:", <-served)
	// Unordered output:
	// hello <nil>
	// normal by peer, 1000 "bye", 1 messages in
	// served: <nil>
}

// With your own mux and http.Server, Shutdown ends the WebSockets. Call it before the
// http.Server's Shutdown, which does not close them.
func ExampleServer_Shutdown() {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		return echo.Serve(ctx, c)
	}, server.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", s)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "a page") })
	hs := httptest.NewServer(mux)
	defer hs.Close()

	fmt.Println(echoOnce("ws"+hs.URL[len("http"):]+"/ws", "hello"))
	fmt.Println("shut down:", s.Shutdown(context.Background()))
	// Output:
	// hello <nil>
	// shut down: <nil>
}

// A handler is notified of a drain and finishes its work.
func ExampleConn_Draining() {
	began := make(chan struct{})
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		close(began)
		select {
		case <-c.Draining():
			return c.Write(ctx, websocket.MessageText, []byte("that was all"))
		case <-ctx.Done():
			return nil
		}
	}, server.Options{DrainNotice: server.DefaultCloseTimeout})
	if err != nil {
		fmt.Println(err)
		return
	}
	hs := httptest.NewServer(s)
	defer hs.Close()
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, "ws"+hs.URL[len("http"):], nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	<-began
	done := make(chan error)
	go func() { done <- s.Shutdown(ctx) }()
	_, p, err := c.Read(ctx)
	fmt.Println(string(p), err)
	_, _, err = c.Read(ctx)
	fmt.Println(websocket.CloseStatus(err))
	fmt.Println("shut down:", <-done)
	// Output:
	// that was all <nil>
	// StatusNormalClosure
	// shut down: <nil>
}
