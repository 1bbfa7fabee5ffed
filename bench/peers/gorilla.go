package peers

import (
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

const gorillaHeartbeatNote = "With a heartbeat, a ticker writes pings and each pong extends the read deadline, as in its chat " +
	"example. The deadline is two intervals; the example's is 10/9 of one."

var gorillaPeer = Peer{
	Name: "gorilla", Title: "gorilla/websocket", Language: "Go", Full: true,
	Note: "ReadMessage and WriteMessage, as in its echo example and first in its documentation. The read limit is 16 MiB; the default is none. " +
		gorillaHeartbeatNote,
	Needs:   []string{"read limit: SetReadLimit", "heartbeat: a ticker, SetReadDeadline and SetPongHandler"},
	modules: []string{"github.com/gorilla/websocket"},
	program: func(o Options) (*program, error) { return gorillaProgram(o, echoGorilla), nil },
}

var gorillaCopyPeer = Peer{
	Name: "gorilla-copy", Title: "gorilla/websocket, NextReader and NextWriter", Language: "Go",
	Note: "The second echo of its documentation, with io.Copy, for streams. It sends a frame per 4 KiB. The rest is as " +
		"with gorilla.",
	Needs:   gorillaPeer.Needs,
	modules: []string{"github.com/gorilla/websocket"},
	program: func(o Options) (*program, error) { return gorillaProgram(o, copyGorilla), nil },
}

func gorillaProgram(o Options, echo func(*websocket.Conn) error) *program {
	upgrader := websocket.Upgrader{
		CheckOrigin:       func(*http.Request) bool { return true },
		EnableCompression: o.Compression,
	}
	return overHTTP(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer c.Close()
		c.SetReadLimit(readLimit)
		defer pingOnTicker(c, o.Heartbeat)()
		for {
			if echo(c) != nil {
				return
			}
		}
	})
}

// echoGorilla reads a message and writes it back.
func echoGorilla(c *websocket.Conn) error {
	typ, p, err := c.ReadMessage()
	if err != nil {
		return err
	}
	return c.WriteMessage(typ, p)
}

// copyGorilla copies a message from a reader to a writer.
func copyGorilla(c *websocket.Conn) error {
	typ, r, err := c.NextReader()
	if err != nil {
		return err
	}
	w, err := c.NextWriter(typ)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	return w.Close()
}

// A gorillaConn is a connection of gorilla/websocket or of a fork.
type gorillaConn interface {
	WriteControl(typ int, data []byte, deadline time.Time) error
	SetReadDeadline(time.Time) error
	SetPongHandler(func(string) error)
	Close() error
}

// pingOnTicker writes pings until stop is called. Each pong extends the read deadline. If
// the interval is 0 or negative, it does nothing.
func pingOnTicker(c gorillaConn, interval time.Duration) (stop func()) {
	if interval <= 0 {
		return func() {}
	}
	const writeWait = 10 * time.Second
	pongWait := 2 * interval
	_ = c.SetReadDeadline(time.Now().Add(pongWait)) // the next read returns the error
	c.SetPongHandler(func(string) error { return c.SetReadDeadline(time.Now().Add(pongWait)) })
	done := make(chan struct{})
	go func() {
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				if err := c.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)); err != nil {
					c.Close()
					return
				}
			}
		}
	}()
	return func() { close(done) }
}
