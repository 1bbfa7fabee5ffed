package migration_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
)

func Example_request_wsecho() {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		user := c.Value().(string)
		return c.Write(ctx, websocket.MessageText, []byte("hello "+user))
	}, server.Options{
		Admit: func(r *http.Request) (any, error) { return r.URL.Query().Get("user"), nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "seen=1")
		s.ServeHTTP(w, r)
	}))
	defer srv.Close()

	p := dial(srv.URL + "/?user=ann")
	defer p.Close()
	fmt.Println(p.Response.Header.Get("Set-Cookie"), receive(p))
	// Output: seen=1 ["hello ann" close 1000]
}
