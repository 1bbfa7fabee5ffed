package peers

import (
	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

var fasthttpPeer = Peer{
	Name: "fasthttp", Title: "fasthttp/websocket", Language: "Go",
	Note:    "A fork of gorilla/websocket for valyala/fasthttp, with the same recipe for a heartbeat.",
	modules: []string{"github.com/fasthttp/websocket", "github.com/valyala/fasthttp"},
	program: func(o Options) (*program, error) {
		upgrader := websocket.FastHTTPUpgrader{
			CheckOrigin:       func(*fasthttp.RequestCtx) bool { return true },
			EnableCompression: o.Compression,
		}
		s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			_ = upgrader.Upgrade(ctx, func(c *websocket.Conn) { // it has answered
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
			})
		}}
		return &program{s.Serve, s.ShutdownWithContext}, nil
	},
}
