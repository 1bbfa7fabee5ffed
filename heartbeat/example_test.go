package heartbeat_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"github.com/coder/websocket"
)

// A client checks once whether the server still answers.
func ExampleCheck() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.Read(r.Context()) // which answers pings
	}))
	defer srv.Close()

	conn, _, err := websocket.Dial(context.Background(), srv.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.CloseNow()
	conn.CloseRead(context.Background()) // reads, so that the pong is seen

	rtt, err := heartbeat.Check(context.Background(), conn)
	fmt.Println(rtt > 0, err)
	// Output: true <nil>
}

// A server gives up a client that never answers.
func ExampleMonitor_Run() {
	ended := make(chan error)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, err := heartbeat.New(heartbeat.Options{Interval: 100 * time.Millisecond, MaxMissed: 1})
		if err != nil {
			log.Fatal(err)
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			OnPingReceived: m.OnPing, OnPongReceived: m.OnPong,
		})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		reading, stop := context.WithCancel(context.Background())
		go func() { // only a Read sees a pong
			defer stop() // the connection has ended
			for {
				_, p, err := conn.Read(context.Background())
				if err != nil {
					return
				}
				fmt.Printf("received %q\n", p)
			}
		}()
		ended <- m.Run(reading, conn)
	}))
	defer srv.Close()

	conn, _, err := websocket.Dial(context.Background(), srv.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.CloseNow() // and does not read: no ping is answered
	if err := conn.Write(context.Background(), websocket.MessageText, []byte("hello")); err != nil {
		log.Fatal(err)
	}

	err = <-ended
	var dead *heartbeat.Verdict
	fmt.Println(errors.As(err, &dead), dead.State, dead.Missed)
	fmt.Println(ending.Of(err).Kind)
	// Output:
	// received "hello"
	// true dead 2
	// no pong
}
