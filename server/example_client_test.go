package server_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"example.com/wsecho/server"
)

// converse sends each message of out and passes each received message to receive. It
// returns when the connection has ended, or the server is dead.
func converse(ctx context.Context, url string, out <-chan string, receive func(string)) error {
	m, err := heartbeat.New(heartbeat.Options{})
	if err != nil {
		return err
	}
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient:     &http.Client{Transport: ending.RoundTripper{}},
		OnPingReceived: m.OnPing,
		OnPongReceived: m.OnPong,
	})
	if err != nil {
		return err
	}
	defer conn.CloseNow()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.Run(ctx, conn) })
	g.Go(func() error {
		for {
			_, p, err := conn.Read(ctx)
			if err != nil {
				return err
			}
			m.Received()
			receive(string(p))
		}
	})
	g.Go(func() error {
		for {
			select {
			case text := <-out:
				// The error of a write does not contain the ending. That of the next Read
				// does.
				_ = conn.Write(ctx, websocket.MessageText, []byte(text))
			case <-ctx.Done():
				return nil
			}
		}
	})
	return g.Wait()
}

// A client that reads and writes at once, with a heartbeat.
func Example_client() {
	s, err := server.New(shout, server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	hs := httptest.NewServer(s)
	defer hs.Close()

	ctx := context.Background()
	out, received, ended := make(chan string), make(chan string), make(chan error, 1)
	go func() {
		ended <- converse(ctx, hs.URL, out, func(text string) { received <- text })
	}()
	for _, text := range []string{"hello", "world"} {
		out <- text
		fmt.Println(<-received)
	}
	fmt.Println("Shutdown:", s.Shutdown(ctx))

	err = <-ended
	end := ending.Of(err)
	fmt.Printf("%v by %v, %d %q, gone: %t\n", end.Kind, end.By, end.Code, end.Reason, ending.Gone(err))
	// Output:
	// HELLO
	// WORLD
	// Shutdown: <nil>
	// going away by peer, 1001 "the server is going away", gone: true
}
