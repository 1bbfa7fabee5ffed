package wstest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/wstest"
)

// The server resets the connection behind the second echo.
func ExampleNewServer() {
	t := new(testing.T) // that of your test, which also closes s
	s := wstest.NewServer(t, wstest.DropRST().After(2))
	defer s.Close()

	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, s.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	for err == nil {
		if err = c.Write(ctx, websocket.MessageText, []byte("hello")); err == nil {
			_, _, err = c.Read(ctx)
		}
	}
	fmt.Println(ending.IsReset(err))

	r, err := s.Next(ctx)
	fmt.Println(r.Messages, r.Echoed, r.Fault, err)
	// Output:
	// true
	// 2 2 DropRST().After(2) <nil>
}

// The client of HTTPClient trusts the certificate of the server.
func ExampleNewTLSServer() {
	t := new(testing.T)
	s := wstest.NewTLSServer(t, wstest.CloseWith(1013, "try later"))
	defer s.Close()

	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, s.URL, &websocket.DialOptions{HTTPClient: s.HTTPClient()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	_, _, err = c.Read(ctx)
	fmt.Println(websocket.CloseStatus(err))
	// Output: StatusTryAgainLater
}

// The first handshake is refused, and the next one works.
func ExampleEchoServer_SetFaults() {
	t := new(testing.T)
	s := wstest.NewPipeServer(t, wstest.Status(503))
	defer s.Close()

	ctx := context.Background()
	for range 2 {
		c, resp, err := websocket.Dial(ctx, s.URL, &websocket.DialOptions{HTTPClient: s.HTTPClient()})
		fmt.Println(resp.StatusCode, err == nil)
		if err == nil {
			c.Close(websocket.StatusNormalClosure, "thanks")
		}
		r, err := s.Next(ctx)
		fmt.Println(r.Opened, r.End.Code, r.End.Reason, err)
		s.SetFaults()
	}
	// Output:
	// 503 false
	// false 0  <nil>
	// 101 true
	// true 1000 thanks <nil>
}

// The report says which rule of the protocol a client has broken.
func ExampleEchoServer_Next() {
	t := new(testing.T)
	s := wstest.NewPipeServer(t)
	defer s.Close()

	p, err := wstest.Dial(s.URL, wstest.DialOptions{Dial: s.Dial})
	if err != nil {
		fmt.Println(err)
		return
	}
	p.Send(wstest.Fragments(wstest.Ping, "a ping", "in two parts")...)
	end, _ := p.End(5 * time.Second)
	p.Close()
	fmt.Println(end.Code)
	r, _ := s.Next(context.Background())
	fmt.Println(r.Violation)
	// Output:
	// 1002
	// a control frame is a fragment
}

// Any server and client can use a listener in memory, also in a bubble of testing/synctest.
func ExamplePipeListener() {
	l := wstest.NewPipeListener()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello over a "+r.RemoteAddr)
	})}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	transport := &http.Transport{DialContext: l.DialContext, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Get("http://any.invalid/")
	if err != nil {
		fmt.Println(err)
		return
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	server.Close()
	fmt.Println(string(b), <-served)
	// Output: hello over a pipe http: Server closed
}
