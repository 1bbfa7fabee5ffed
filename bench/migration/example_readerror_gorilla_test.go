package migration_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gorilla/websocket"
)

func Example_readError_gorilla() {
	var upgrader websocket.Upgrader
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()

		_, _, err = conn.ReadMessage()
		gone := websocket.IsCloseError(err, websocket.CloseGoingAway, websocket.CloseAbnormalClosure)
		unexpected := websocket.IsUnexpectedCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway)

		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			fmt.Printf("%d, gone %t, unexpected %t\n", closed.Code, gone, unexpected)
		} else {
			fmt.Printf("no CloseError, gone %t, unexpected %t\n", gone, unexpected)
		}
		done <- struct{}{}
	}))
	defer srv.Close()

	endEach(srv.URL, done)
	// Output:
	// close 1000: 1000, gone false, unexpected false
	// close without a code: 1005, gone false, unexpected true
	// close 1001: 1001, gone true, unexpected false
	// close 4000: 4000, gone false, unexpected true
	// FIN: 1006, gone true, unexpected true
	// FIN inside a message: 1006, gone true, unexpected true
	// RST: no CloseError, gone false, unexpected false
}
