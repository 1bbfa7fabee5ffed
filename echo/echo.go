// Package echo is a handler that echoes WebSocket messages.
//
//	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
//		return echo.Serve(ctx, c)
//	}, server.Options{})
//
// The handler reads a message to its end before it writes it back. So a client may
// send a whole message before it reads anything. The connection's read limit bounds
// the memory of one message, and a [Budget] that of all messages together.
//
// The package does not limit, close or ping a connection; package server does.
package echo

import (
	"cmp"
	"context"
	"io"

	"github.com/coder/websocket"
)

// Conn is the part of a connection that Serve uses. [*websocket.Conn] implements it
// for either side of a connection, and *server.Conn for the server's.
//
// A reader that Reader returns may have a method Size() int64. It returns the length
// of the whole message, or -1 if that is not known yet. Then a message for which
// there is no memory waits before it has any; see [Budget].
type Conn interface {
	Reader(context.Context) (websocket.MessageType, io.Reader, error)
	Write(context.Context, websocket.MessageType, []byte) error
}

type sized interface{ Size() int64 }

// Echo is an echo handler for many connections. The zero value is ready to use. Its
// methods may be called concurrently; its fields must not change after the first call.
type Echo struct {
	// Budget bounds the memory of the messages of all connections. Nil: only the read
	// limit of each connection bounds it.
	Budget *Budget
	// OnMessage is called with each whole message before it is written back. It must
	// not retain p. Nil: nothing is called.
	OnMessage func(c Conn, typ websocket.MessageType, p []byte)
}

// Serve calls [Echo.Serve] of the zero Echo.
func Serve(ctx context.Context, c Conn) error { return new(Echo).Serve(ctx, c) }

// Serve reads messages from c and writes each back with the type it had. It returns
// the first error of a read or a write, never nil. It does not write back a message
// that was not read to its end.
//
// If there is no memory for a message, the error is an [*ending.Choice] of kind
// NoMemory. The caller should then close c with code 1013, as package server does.
//
// Serve passes ctx to c's methods, and ctx ends a wait for memory. If c is a
// [*websocket.Conn], a ctx that can be cancelled makes each call slower. Its end closes
// the connection without a close frame.
func (e *Echo) Serve(ctx context.Context, c Conn) error {
	m := messages.Get().(*message) // a server may call Serve for each message
	m.budget = cmp.Or(e.Budget, unbounded)
	defer func() {
		m.release()
		m.budget = nil
		messages.Put(m)
	}()
	for {
		typ, r, err := c.Reader(ctx)
		if err != nil {
			return err
		}
		p, err := m.read(ctx, r)
		if err != nil {
			return err
		}
		if e.OnMessage != nil {
			e.OnMessage(c, typ, p)
		}
		err = c.Write(ctx, typ, p)
		m.release()
		if err != nil {
			return err
		}
	}
}
