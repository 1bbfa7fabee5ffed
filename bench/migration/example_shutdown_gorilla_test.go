package migration_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"example.com/wsecho/wstest"
)

// http.Server.Shutdown ignores upgraded connections.
func Example_shutdown_gorilla() {
	var upgrader websocket.Upgrader
	ended := make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		for {
			mt, p, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if err := conn.WriteMessage(mt, p); err != nil {
				return
			}
		}
	})}
	l := listen()
	go srv.Serve(l)
	p := dial("ws://" + l.Addr().String())

	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	fmt.Println("Shutdown:", srv.Shutdown(ctx))

	p.Send(wstest.TextFrame("still there?"))
	_, received, _ := p.RecvMessage()
	fmt.Printf("the peer received: %s\n", received)
	p.Close()
	<-ended
	// Output:
	// Shutdown: <nil>
	// the peer received: still there?
}
