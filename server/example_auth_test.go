package server_test

import (
	"context"
	"errors"
	"fmt"
	"log"
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
