package server_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
)

// shout returns each message in capitals. The error of a read contains how the connection
// ended, so the handler returns it.
func shout(ctx context.Context, c *server.Conn) error {
	for {
		typ, p, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, typ, bytes.ToUpper(p)); err != nil {
			return err
		}
	}
}

// A handler of your own. The server logs how each connection ended, and calls OnEnd.
func Example_handler() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case "time", "remote", "age_seconds", "silent_seconds", "connections": // they differ from run to run
				return slog.Attr{}
			}
			return a
		},
	}))
	ended := make(chan server.Outcome, 1)
	s, err := server.New(shout, server.Options{
		Logger: logger,
		OnEnd:  func(o server.Outcome) { ended <- o },
	})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background()) // in a program: signal.NotifyContext
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()

	conn, _, err := websocket.Dial(ctx, "ws://"+l.Addr().String()+"/room?n=1", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	_, p, err := conn.Read(ctx)
	fmt.Println(string(p), err)
	if err := conn.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		log.Fatal(err)
	}

	o := <-ended
	fmt.Println("OnEnd:", o.Kind, "by", o.By, int(o.Code), o.Reason)
	stop()
	fmt.Println("Serve:", <-served)
	// Output:
	// HELLO <nil>
	// level=INFO msg=ended kind=normal by=peer gone=false code=1000 reason=bye sent=1000 received=1000 id=1 uri=/room?… messages_in=1 messages_out=1 bytes_in=5 bytes_out=5
	// OnEnd: normal by peer 1000 bye
	// level=INFO msg=draining timeout_seconds=15
	// level=INFO msg=drained acknowledged=0 unacknowledged=0 unwritable=0
	// Serve: <nil>
}
