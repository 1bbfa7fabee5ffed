package fault_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/fault"
	"example.com/wsecho/server"
)

// A test of a client's code lets the server close with any code, after any message.
func ExamplePerConn() {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) },
		server.Options{PerConn: fault.PerConn(echo.Serve, fault.Options{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := httptest.NewServer(s)
	defer h.Close()

	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(h.URL, "http")+"/?close=4001&reason=bye&after=1", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	_ = c.Write(ctx, websocket.MessageText, []byte("hello"))
	_, p, err := c.Read(ctx)
	fmt.Println(string(p), err)
	_, _, err = c.Read(ctx)
	fmt.Println(websocket.CloseStatus(err))
	// Output:
	// hello <nil>
	// StatusCode(4001)
}

// A page can offer the faults of the server as a form.
func ExampleParameters() {
	for _, p := range fault.Parameters() {
		if p.Name == "drop" {
			fmt.Printf("%s=%s: %s (%s)\n", p.Name, p.Example, p.Effect, p.Valid)
		}
	}
	// Output:
	// drop=fin: ends TCP with FIN or RST, without a close frame and without the end of TLS (fin or rst)
}
