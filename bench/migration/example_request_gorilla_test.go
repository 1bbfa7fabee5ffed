package migration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gorilla/websocket"
)

func Example_request_gorilla() {
	var upgrader websocket.Upgrader
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, http.Header{"Set-Cookie": {"seen=1"}})
		if err != nil {
			return
		}
		defer conn.Close()
		user := r.URL.Query().Get("user")
		conn.WriteMessage(websocket.TextMessage, []byte("hello "+user))
	}))
	defer srv.Close()

	p := dial(srv.URL + "/?user=ann")
	defer p.Close()
	fmt.Println(p.Response.Header.Get("Set-Cookie"), receive(p))
	// Output: seen=1 ["hello ann" no close frame]
}
