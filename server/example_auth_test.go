package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
)

// A user is the owner of a token.
type user struct{ name string }

// userKey is the key of a *user in the context of a request.
type userKey struct{}

// authenticate passes only requests with a valid token to next.
func authenticate(users map[string]*user, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		u, ok := users[token]
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a valid token is required", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, u)))
	})
}

// admit returns the value of the connection.
func admit(r *http.Request) (any, error) {
	u, ok := r.Context().Value(userKey{}).(*user)
	if !ok {
		return nil, errors.New("the request is not authenticated")
	}
	return u, nil
}

func greet(ctx context.Context, c *server.Conn) error {
	u := c.Value().(*user)
	return c.Write(ctx, websocket.MessageText, []byte("hello, "+u.name))
}

// Authentication in a middleware. Admit passes the user to the handler.
func Example_authentication() {
	s, err := server.New(greet, server.Options{Admit: admit})
	if err != nil {
		log.Fatal(err)
	}
	hs := httptest.NewServer(authenticate(map[string]*user{"secret": {name: "ann"}}, s))
	defer hs.Close()

	ctx := context.Background()
	dial := func(token string) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(ctx, hs.URL, &websocket.DialOptions{
			HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
		})
	}
	_, resp, err := dial("guess")
	fmt.Println(err != nil, resp.Status)

	conn, _, err := dial("secret")
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
	// true 401 Unauthorized
	// hello, ann <nil>
	// StatusNormalClosure
	// Shutdown: <nil>
}

// Authentication under Serve, without a middleware. Options.HTTP serves a page.
func ExampleAdmitError() {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "a page") })
	s, err := server.New(greet, server.Options{
		HTTP: page,
		Admit: func(r *http.Request) (any, error) {
			if r.Header.Get("Authorization") != "Bearer secret" {
				return nil, &server.AdmitError{
					Status: http.StatusUnauthorized,
					Header: http.Header{"Www-Authenticate": {"Bearer"}},
					Err:    errors.New("a valid token is required"),
				}
			}
			return &user{name: "ann"}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	ctx := context.Background()
	go func() { served <- s.Serve(ctx, l) }()

	_, resp, err := websocket.Dial(ctx, "ws://"+l.Addr().String(), nil)
	fmt.Println(err != nil, resp.Status, resp.Header.Get("WWW-Authenticate"))
	resp, err = http.Get("http://" + l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	p, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	fmt.Print(string(p), err, "\n")
	fmt.Println("Shutdown:", s.Shutdown(ctx))
	fmt.Println("Serve:", <-served)
	// Output:
	// true 401 Unauthorized Bearer
	// a page
	// <nil>
	// Shutdown: <nil>
	// Serve: <nil>
}
