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

// heartbeat.Check waits for the answer. The peers are the same three.
func Example_pingCheck_wsecho() {
	alive := func(c *server.Conn, timeout time.Duration) bool {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		_, err := heartbeat.Check(ctx, c)
		return err == nil
	}

	conns := make(chan *server.Conn)
	ends := make(chan server.Outcome, 1)
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		conns <- c
		_, _, err := c.Read(ctx) // only a Read sees the pong
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
	fmt.Printf("the read returned: %v, by %v\n", o.Kind, o.By)
	// Output:
	// answers: alive true
	// is silent: alive false
	// has closed: alive false
	// the read returned: abnormal, by peer
}

// A server has a heartbeat. The default interval is 20 seconds.
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

	p := dial(srv.URL) // the peer does not read
	defer p.Close()
	o := <-ends
	fmt.Printf("%v, by %v, after %d missed\n", o.Kind, o.By, o.Heartbeat.Missed)
	// Output: no pong, by local, after 2 missed
}
