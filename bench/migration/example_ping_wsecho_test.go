package migration_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"example.com/wsecho/heartbeat"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// The check that waits for the answer, on the same three peers.
func Example_pingCheck_wsecho() {
	alive := func(c *server.Conn, patience time.Duration) bool {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err := heartbeat.Check(ctx, c)
		return err == nil
	}

	conns := make(chan *server.Conn)
	ends := make(chan server.Outcome, 1)
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		conns <- c
		_, _, err := c.Read(ctx) // only a read sees the pong
		return err
	}, server.Options{OnEnd: func(o server.Outcome) { ends <- o }})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(s)
	defer srv.Close()

	p := dial(srv.URL)
	go p.Answer(context.Background(), wstest.AnswerOptions{})
	fmt.Println("answers: alive", alive(<-conns, 10*time.Second))
	p.Close()
	<-ends

	p = dial(srv.URL)
	fmt.Println("is silent: alive", alive(<-conns, 100*time.Millisecond))
	p.Close()
	<-ends

	p = dial(srv.URL)
	c := <-conns
	p.Close()
	fmt.Println("has closed: alive", alive(c, 10*time.Second))
	o := <-ends
	fmt.Printf("what the read said: %v, by %v\n", o.Kind, o.By)
	// Output:
	// answers: alive true
	// is silent: alive false
	// has closed: alive false
	// what the read said: abnormal, by peer
}

// A server does it by itself, every 20 seconds unless it is told otherwise.
func Example_heartbeat_wsecho() {
	ends := make(chan server.Outcome, 1)
	s, err := server.New(handler, server.Options{
		PingInterval: 300 * time.Millisecond,
		MaxMissed:    1,
		CloseTimeout: 300 * time.Millisecond,
		OnEnd:        func(o server.Outcome) { ends <- o },
	})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(s)
	defer srv.Close()

	p := dial(srv.URL) // and does not read
	defer p.Close()
	o := <-ends
	fmt.Printf("%v, by %v, after %d missed\n", o.Kind, o.By, o.Heartbeat.Missed)
	// Output: no pong, by local, after 2 missed
}
