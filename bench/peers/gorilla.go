package peers

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

var gorillaPeer = Peer{
	Name: "gorilla", Title: "gorilla/websocket", Language: "Go", Full: true,
	Note: "With a heartbeat it is the popular recipe: a ping is written on a ticker, and the connection ends when that " +
		"fails. Nobody waits for pongs.",
	modules: []string{"github.com/gorilla/websocket"},
	program: func(o Options) (*program, error) {
		upgrader := websocket.Upgrader{
			CheckOrigin:       func(*http.Request) bool { return true },
			EnableCompression: o.Compression,
		}
		return overHTTP(func(w http.ResponseWriter, r *http.Request) {
			c, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				return // it has answered
			}
			defer c.Close()
			defer pingOnTicker(c, o.Heartbeat)()
			for {
				typ, p, err := c.ReadMessage()
				if err != nil {
					return
				}
				if err := c.WriteMessage(typ, p); err != nil {
					return
				}
			}
		}), nil
	},
}

// gorillaConn is a connection of gorilla/websocket or of a fork of it.
type gorillaConn interface {
	WriteControl(typ int, data []byte, deadline time.Time) error
	Close() error
}

// pingOnTicker writes pings until stop, and closes the connection when that fails.
func pingOnTicker(c gorillaConn, interval time.Duration) (stop func()) {
	if interval <= 0 {
		return func() {}
	}
	const writeWait = 10 * time.Second
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
