package migration_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func handler(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }

func Example_options_wsecho() {
	s, err := server.New(handler, server.Options{
		HandshakeTimeout: 5 * time.Second,
		ReadBufferSize:   4096,
		WriteBufferSize:  4096,
		Subprotocols:     []string{"chat.v2", "chat.v1"},
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			http.Error(w, "refused: "+reason.Error(), status)
		},
		OriginPatterns: []string{"https://*.example.com"},
		Compression:    websocket.CompressionNoContextTakeover,
	})
	if err != nil {
		log.Fatal(err) // an invalid option
	}
	srv := httptest.NewServer(s)
	defer srv.Close()

	handshakes(srv.URL)
	// Output:
	// "": 101 chat.v2 permessage-deflate
	// "http://chat.example.org": 101 chat.v2 permessage-deflate
	// "https://www.example.com": 101 chat.v2 permessage-deflate
	// "http://www.example.com": 403 refused: origin "http://www.example.com" may not connect to host "chat.example.org"; OriginPatterns (--origin=www.example.com) can allow it
	// "null": 403 refused: origin "null" may not connect to host "chat.example.org"; only AllowAnyOrigin (--any-origin) allows an origin without a host
}

// CheckOrigin decides alone, as gorilla's does.
func Example_checkOrigin_wsecho() {
	s, err := server.New(handler, server.Options{
		CheckOrigin: func(r *http.Request) bool {
			return r.Header.Get("Origin") == "https://www.example.com"
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(s)
	defer srv.Close()

	handshakes(srv.URL)
	// Output:
	// "": 403 a request without an Origin header may not connect to host "chat.example.org"; CheckOrigin refused it
	// "http://chat.example.org": 403 origin "http://chat.example.org" may not connect to host "chat.example.org"; CheckOrigin refused it
	// "https://www.example.com": 101
	// "http://www.example.com": 403 origin "http://www.example.com" may not connect to host "chat.example.org"; CheckOrigin refused it
	// "null": 403 origin "null" may not connect to host "chat.example.org"; CheckOrigin refused it
}

// Under Serve, HandshakeTimeout starts with the first byte of the request.
func Example_handshakeTimeout_wsecho() {
	s, err := server.New(handler, server.Options{HandshakeTimeout: 50 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l, served := listen(), make(chan error)
	go func() { served <- s.Serve(ctx, l) }()

	p, _ := wstest.RawDial("ws://"+l.Addr().String(), wstest.DialOptions{})
	defer p.Close()
	p.SendRaw([]byte("GET / HTTP/1.1\r\nHost: half a requ"))
	p.Timeout = 10 * time.Second
	_, err = p.ReadResponse()
	fmt.Println("still open:", errors.Is(err, os.ErrDeadlineExceeded))

	cancel()
	<-served
	// Output: still open: false
}
