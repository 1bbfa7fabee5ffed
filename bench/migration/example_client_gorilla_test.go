package migration_test

import (
	"fmt"
	"log"

	"github.com/gorilla/websocket"
)

// The server sends the first of two fragments, and then FIN.
func Example_client_gorilla() {
	url := halfMessage()

	conn, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	_, _, err = conn.ReadMessage()
	fmt.Println(err)
	fmt.Println("gone:", websocket.IsCloseError(err, websocket.CloseGoingAway, websocket.CloseAbnormalClosure))
	// Output:
	// websocket: close 1006 (abnormal closure): unexpected EOF
	// gone: true
}
