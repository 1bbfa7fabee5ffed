package peers

import (
	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

var fasthttpPeer = Peer{
	Name: "fasthttp", Title: "fasthttp/websocket", Language: "Go",
	Note: "A fork of gorilla/websocket for valyala/fasthttp. The read limit is 16 MiB; the default is none. " +
		gorillaHeartbeatNote,
	Needs:   gorillaPeer.Needs,
	modules: []string{"github.com/fasthttp/websocket", "github.com/valyala/fasthttp"},
	program: func(o Options) (*program, error) {
		upgrader := websocket.FastHTTPUpgrader{
			CheckOrigin:       func(*fasthttp.RequestCtx) bool { return true },
			EnableCompression: o.Compression,
		}
		s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			_ = upgrader.Upgrade(ctx, func(c *websocket.Conn) { // Upgrade has answered
				defer c.Close()
				c.SetReadLimit(readLimit)
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
