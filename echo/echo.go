// Package echo says back on a WebSocket what it hears.
//
//	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
//		return echo.Serve(ctx, c)
//	}, server.Options{HoldReplies: true})
//
// It takes a message in whole before it writes it back, so that a client may
// send all it has before it reads anything. What that costs is bounded: by the
// connection's read limit for one message, and by a [Budget] for all together.
//
// The package does not limit, close or ping a connection; package server does.
package echo

import (
	"context"
	"io"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// Conn is what an echo needs of a connection. A [*websocket.Conn], of either
// side, has it, and so has a *server.Conn.
type Conn interface {
	Reader(context.Context) (websocket.MessageType, io.Reader, error)
	Write(context.Context, websocket.MessageType, []byte) error
}

// An Echo holds what the echoes of many connections share. The zero Echo is
// ready to use and has no budget. Its methods may be called at once; its fields
// may not be changed after the first call.
type Echo struct {
	// Budget bounds the memory of messages in flight. Nil: no bound but each
	// connection's read limit.
	Budget *Budget
	// OnMessage is called with each whole message before it is written back. It
	// must not keep p. Nil: nothing is called.
	OnMessage func(c Conn, typ websocket.MessageType, p []byte)
}

// Serve echoes with the zero [Echo].
func Serve(ctx context.Context, c Conn) error { return new(Echo).Serve(ctx, c) }

// Serve reads messages from c and writes each back, text as text and binary as
// binary, until a read or a write fails; it returns that error, never nil. A
// message that does not arrive whole is not written back. Where the budget is
// spent, and stays so for as long as a message may wait, the error is an
// [*ending.Error] of kind NoMemory, for whoever owns c to close it with 1013.
//
// ctx ends a wait for memory, and is passed to c's methods: with a bare [*websocket.Conn], one that can end
// makes each of them dearer, and cuts the connection without a close frame when
// it does.
func (e *Echo) Serve(ctx context.Context, c Conn) error {
	m := messages.Get().(*message) // a server may call for each message
	m.budget = e.Budget
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

// noMemory is the error of a message that there is no memory for.
func noMemory(reason string) error { return &ending.Error{Kind: ending.NoMemory, Reason: reason} }
