package migration_test

import (
	"net/http"
	"net/http/httptest"

	"github.com/gorilla/websocket"
)

func Example_readLoop_gorilla() {
	var upgrader websocket.Upgrader
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetReadLimit(64)
		for {
			mt, p, err := conn.ReadMessage()
			if err != nil || string(p) == "quit" {
				return
			}
			if err := conn.WriteMessage(mt, p); err != nil {
				return
			}
		}
	}))
	defer srv.Close()

	runSessions(srv.URL, sessions)
	// Output:
	// hello, quit: "hello", no close frame
	// text that is not UTF-8: "caf\xe9", close 1000
	// half a message: no close frame
	// 65 bytes: close 1009
}
