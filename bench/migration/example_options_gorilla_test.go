package migration_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"example.com/wsecho/wstest"
)

func Example_options_gorilla() {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second,
		ReadBufferSize:   4096,
		WriteBufferSize:  4096,
		WriteBufferPool:  &sync.Pool{},
		Subprotocols:     []string{"chat.v2", "chat.v1"},
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			http.Error(w, "refused: "+reason.Error(), status)
		},
		CheckOrigin: func(r *http.Request) bool {
			origin := r.Header.Get("Origin")
			u, err := url.Parse(origin)
			return origin == "" || err == nil && (u.Host == r.Host ||
				u.Scheme == "https" && strings.HasSuffix(u.Host, ".example.com"))
		},
		EnableCompression: true,
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			conn.Close()
		}
	}))
	defer srv.Close()

	handshakes(srv.URL)
	// Output:
	// "": 101 chat.v2 permessage-deflate
	// "http://chat.example.org": 101 chat.v2 permessage-deflate
	// "https://www.example.com": 101 chat.v2 permessage-deflate
	// "http://www.example.com": 403 refused: websocket: request origin not allowed by Upgrader.CheckOrigin
	// "null": 403 refused: websocket: request origin not allowed by Upgrader.CheckOrigin
}

// CheckOrigin decides alone, also about the server's own host and about clients that
// are not browsers.
func Example_checkOrigin_gorilla() {
	upgrader := websocket.Upgrader{
		CheckOrigin: func(r *http.Request) bool {
			return r.Header.Get("Origin") == "https://www.example.com"
		},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			conn.Close()
		}
	}))
	defer srv.Close()

	handshakes(srv.URL)
	// Output:
	// "": 403 Forbidden
	// "http://chat.example.org": 403 Forbidden
	// "https://www.example.com": 101
	// "http://www.example.com": 403 Forbidden
	// "null": 403 Forbidden
}

// HandshakeTimeout limits only the write of the answer. The http.Server must limit
// the time of the request.
func Example_handshakeTimeout_gorilla() {
	upgrader := websocket.Upgrader{HandshakeTimeout: 50 * time.Millisecond}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			conn.Close()
		}
	}))
	defer srv.Close()

	p, _ := wstest.RawDial(wsURL(srv.URL), wstest.DialOptions{})
	defer p.Close()
	p.SendRaw([]byte("GET / HTTP/1.1\r\nHost: half a requ"))
	p.Timeout = 500 * time.Millisecond
	_, err := p.ReadResponse()
	fmt.Println("still open after ten times as long:", errors.Is(err, os.ErrDeadlineExceeded))
	// Output: still open after ten times as long: true
}
