package server_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"example.com/wsecho/server"
)

// routes has a page and a WebSocket for each room.
func routes(s *server.Server) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	r.Handle("/rooms/{room}/ws", s)
	r.Group(func(r chi.Router) {
		r.Use(middleware.Timeout(10 * time.Second)) // of pages: a WebSocket lasts longer
		r.Get("/rooms/{room}", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "the page of room ", chi.URLParam(r, "room"))
		})
	})
	return r
}

// A Server is an http.Handler, so it is a route of chi. Admit passes the parameter of
// the path to the handler.
func Example_chi() {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		return c.Write(ctx, websocket.MessageText, fmt.Append(nil, "welcome to room ", c.Value()))
	}, server.Options{
		Admit: func(r *http.Request) (any, error) { return chi.URLParam(r, "room"), nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	hs := httptest.NewServer(routes(s))
	defer hs.Close()

	resp, err := http.Get(hs.URL + "/rooms/blue")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	fmt.Println(string(page), err)

	ctx := context.Background()
	conn, _, err := websocket.Dial(ctx, hs.URL+"/rooms/blue/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.CloseNow()
	_, p, err := conn.Read(ctx)
	fmt.Println(string(p), err)
	_, _, err = conn.Read(ctx) // the handler has returned
	fmt.Println(websocket.CloseStatus(err))
	fmt.Println("Shutdown:", s.Shutdown(ctx))
	// Output:
	// the page of room blue <nil>
	// welcome to room blue <nil>
	// StatusNormalClosure
	// Shutdown: <nil>
}
