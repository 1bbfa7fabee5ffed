package server_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"example.com/wsecho/server"
)

// A hub sends each message to every member.
type hub struct {
	mu      sync.Mutex
	members map[*member]struct{}
}

// A member is one connection of a hub.
type member struct {
	queue chan []byte             // messages to send
	drop  context.CancelCauseFunc // ends the connection
}

const (
	queueLength  = 16
	writeTimeout = 5 * time.Second // of one message
)

var errSlow = errors.New("the client is too slow")

// serve is the Handler. The first of the two goroutines that returns ends the other.
func (h *hub) serve(ctx context.Context, c *server.Conn) error {
	ctx, drop := context.WithCancelCause(ctx)
	defer drop(nil)
	m := &member{queue: make(chan []byte, queueLength), drop: drop}
	h.join(m)
	defer h.leave(m)

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.read(ctx, c) })
	g.Go(func() error { return m.write(ctx, c) })
	return g.Wait()
}

func (h *hub) join(m *member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members[m] = struct{}{}
}

func (h *hub) leave(m *member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members, m)
}

// broadcast queues p for every member. It does not block: a member whose queue is full
// is dropped.
func (h *hub) broadcast(p []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for m := range h.members {
		select {
		case m.queue <- p:
		default:
			m.drop(errSlow)
			delete(h.members, m)
		}
	}
}

func (h *hub) read(ctx context.Context, c *server.Conn) error {
	for {
		_, p, err := c.Read(ctx)
		if err != nil {
			return err
		}
		h.broadcast(p)
	}
}

func (m *member) write(ctx context.Context, c *server.Conn) error {
	for {
		select {
		case p := <-m.queue:
			if err := writeMessage(ctx, c, p); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func writeMessage(ctx context.Context, c *server.Conn, p []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, writeTimeout, errSlow)
	defer cancel()
	return c.Write(ctx, websocket.MessageText, p)
}

// A broadcast to every client. Each connection has a bounded queue. So a slow client costs
// bounded memory and delays no other connection.
func Example_broadcast() {
	h := &hub{members: make(map[*member]struct{})}
	ended := make(chan server.Outcome, 2)
	s, err := server.New(h.serve, server.Options{
		CloseTimeout: 100 * time.Millisecond, // bob does not answer the close frame
		OnEnd:        func(o server.Outcome) { ended <- o },
	})
	if err != nil {
		log.Fatal(err)
	}
	hs := httptest.NewServer(s)
	defer hs.Close()

	ctx := context.Background()
	join := func() *websocket.Conn {
		conn, _, err := websocket.Dial(ctx, hs.URL, nil)
		if err != nil {
			log.Fatal(err)
		}
		conn.SetReadLimit(-1)
		return conn
	}
	send := func(conn *websocket.Conn, p []byte) {
		if err := conn.Write(ctx, websocket.MessageText, p); err != nil {
			log.Fatal(err)
		}
	}
	receive := func(conn *websocket.Conn) string {
		_, p, err := conn.Read(ctx)
		if err != nil {
			log.Fatal(err)
		}
		return string(p)
	}

	ann := join()
	defer ann.CloseNow()
	send(ann, []byte("ann is here"))
	fmt.Println("ann receives:", receive(ann))
	bob := join()
	defer bob.CloseNow()
	send(bob, []byte("bob is here"))
	fmt.Println("bob receives:", receive(bob))
	fmt.Println("ann receives:", receive(ann))

	// Bob reads no more. Ann still receives each message.
	for p := make([]byte, 64<<10); ; {
		send(ann, p)
		receive(ann)
		select {
		case o := <-ended:
			fmt.Println("bob:", o.Kind, "by", o.By, "because", o.Cause)
			drained := make(chan error)
			go func() { drained <- s.Shutdown(ctx) }()
			_, _, err := ann.Read(ctx)
			fmt.Println("ann:", websocket.CloseStatus(err))
			fmt.Println("Shutdown:", <-drained)
			return
		default:
		}
	}
	// Output:
	// ann receives: ann is here
	// bob receives: bob is here
	// ann receives: bob is here
	// bob: closed by local because the client is too slow
	// ann: StatusGoingAway
	// Shutdown: <nil>
}
