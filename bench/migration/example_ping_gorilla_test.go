package migration_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"example.com/wsecho/wstest"
)

// The popular check against three peers: one answers, one is silent, one has closed.
func Example_pingCheck_gorilla() {
	closed := func(conn *websocket.Conn) (bool, error) {
		err := conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
		return websocket.IsCloseError(err, websocket.CloseGoingAway, websocket.CloseAbnormalClosure), err
	}

	var upgrader websocket.Upgrader
	conns := make(chan *websocket.Conn)
	reads := make(chan error)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			log.Fatal(err)
		}
		conns <- conn
		_, _, err = conn.ReadMessage()
		reads <- err
	}))
	defer srv.Close()
	print := func(peer string, closed bool, err error) {
		fmt.Printf("%s: closed %t, error %v\n", peer, closed, err)
	}

	p := dial(srv.URL)
	go p.Answer(context.Background(), wstest.AnswerOptions{})
	conn := <-conns
	is, err := closed(conn)
	print("answers", is, err)
	p.Close()
	<-reads
	conn.Close()

	p = dial(srv.URL)
	conn = <-conns
	for range 3 {
		is, err = closed(conn)
		print("is silent", is, err)
	}
	p.Close()
	<-reads
	conn.Close()

	p = dial(srv.URL)
	conn = <-conns
	p.Close()
	readErr := <-reads
	is, err = closed(conn)
	print("has closed, first ping", is, err)
	for err == nil {
		time.Sleep(time.Millisecond)
		is, err = closed(conn)
	}
	fmt.Printf("has closed, a later ping: closed %t, error broken pipe or reset: %t\n", is, brokenPipe(err))
	fmt.Println("the read returned:", readErr)
	conn.Close()

	// Output:
	// answers: closed false, error <nil>
	// is silent: closed false, error <nil>
	// is silent: closed false, error <nil>
	// is silent: closed false, error <nil>
	// has closed, first ping: closed false, error <nil>
	// has closed, a later ping: closed false, error broken pipe or reset: true
	// the read returned: websocket: close 1006 (abnormal closure): unexpected EOF
}

// A correct heartbeat with gorilla: each pong moves a read deadline.
func Example_heartbeat_gorilla() {
	const (
		pongWait   = 150 * time.Millisecond
		pingPeriod = 50 * time.Millisecond
		writeWait  = 10 * time.Second
	)
	var upgrader websocket.Upgrader
	reads := make(chan error)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			log.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(pongWait))
		conn.SetPongHandler(func(string) error {
			return conn.SetReadDeadline(time.Now().Add(pongWait))
		})
		done := make(chan struct{})
		var pings sync.WaitGroup
		pings.Go(func() {
			ticker := time.NewTicker(pingPeriod)
			defer ticker.Stop()
			for {
				select {
				case <-done:
					return
				case <-ticker.C:
					if conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)) != nil {
						return
					}
				}
			}
		})
		_, _, err = conn.ReadMessage()
		close(done)
		conn.Close()
		pings.Wait()
		reads <- err
	}))
	defer srv.Close()

	p := dial(srv.URL) // the peer does not read
	defer p.Close()
	err := <-reads
	var timeout net.Error
	fmt.Println("timeout:", errors.As(err, &timeout) && timeout.Timeout())
	fmt.Println("closed:", websocket.IsCloseError(err, websocket.CloseGoingAway, websocket.CloseAbnormalClosure))
	// Output:
	// timeout: true
	// closed: false
}
