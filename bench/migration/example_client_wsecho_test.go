package migration_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

func Example_client_wsecho() {
	url := halfMessage()
	ctx := context.Background()

	client := &http.Client{Transport: ending.RoundTripper{}}
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.CloseNow()
	_, _, err = conn.Read(ctx)
	fmt.Println(ending.Of(err).Kind)
	fmt.Println("gone:", ending.Gone(err))
	// Output:
	// abnormal
	// gone: true
}

// Without the RoundTripper, coder returns half a message as a complete one.
func Example_client_coder() {
	url := halfMessage()
	ctx := context.Background()

	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.CloseNow()
	_, p, err := conn.Read(ctx)
	fmt.Printf("%q, error %v\n", p, err)
	// Output:
	// "half a", error <nil>
}
